"""List platforms: which roles each renders, and what its driver can do."""

from typing import Any

from cli.answer import answer
from cli.here import Json


def command(as_json: Json = False) -> None:
    """List platforms: which roles each renders, and what its driver can do."""
    from drivers import registry as drivers
    from renderers import registry as renderers

    rendered, driven = renderers.platforms(), drivers.platforms()
    found = [_platform(name, name in rendered, name in driven) for name in sorted({*rendered, *driven})]
    answer(
        "platforms",
        text="\n".join(line for one in found for line in _told(one)),
        as_json=as_json,
        platforms=found,
    )


def _platform(name: str, is_rendered: bool, is_driven: bool) -> dict[str, Any]:
    import msgspec

    from drivers import registry as drivers
    from renderers import registry as renderers

    roles = sorted(renderers.renderer_for(name).ROLES) if is_rendered else []
    declared = msgspec.to_builtins(drivers.capabilities(name), order="sorted") if is_driven else None
    return {"platform": name, "roles": roles, "objects": renderers.has_objects(name), "driver": declared}


def _told(one: dict[str, Any]) -> list[str]:
    objects = ", subscriber objects" if one["objects"] else ""
    roles = f"renders {', '.join(one['roles'])}{objects}" if one["roles"] else "no renderer"
    driver = one["driver"]
    if driver is None:
        return [f"{one['platform']}: {roles}; no driver"]
    able = [word for word in ("replace", "merge", "atomic", "end_session") if driver[word]]
    lists = [
        f"{word}: {' '.join(driver[word])}" for word in ("sections", "observe", "objects") if driver[word]
    ]
    many = f"{driver['sessions']} at once"
    return [
        f"{one['platform']}: {roles}",
        f"    driver: {driver['revert']} revert, {', '.join(able)}, {many}",
        *(f"    {each}" for each in lists),
    ]
