"""What a caller did wrong, with the HTTP status that says so; errors of lower rooms are mapped in `answers`."""

from core.errors import Retryable, Terminal


class TokenRefused(Terminal):
    """No token, or one that is unknown, expired or revoked: the caller is not told which."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "a valid token is needed; an operator makes one with `trunkline token create NAME --role R`"
        )


class LoginNeeded(TokenRefused):
    """A page of the console without a session."""


class RoleLacking(Terminal):
    """The token's role may not do this."""

    status = 403

    def __init__(self, role: str, wanted: tuple[str, ...]) -> None:
        super().__init__(f"role '{role}' may not do this; it takes {' or '.join(sorted({*wanted, 'admin'}))}")


class FormNotOurs(Terminal):
    """A POST without the secret of the page that it claims to come from (CSRF)."""

    status = 403

    def __init__(self) -> None:
        super().__init__(
            "this form does not come from a page of this console; open the page again and repeat"
        )


class SignatureWrong(Terminal):
    """A webhook that its forge did not sign."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "the webhook's X-Hub-Signature-256 is not ours; compare `webhook_secret` with the forge"
        )


class NotThere(Terminal):
    """Nothing of that name."""

    status = 404

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"there is no {what} '{name}'")


class NotUsable(Terminal):
    """A value that we cannot work with."""

    status = 422

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what} is not usable: {why}")


class TooManyFailures(Retryable):
    """Somebody guesses tokens."""

    status = 429

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed logins from here; wait {seconds} s")
