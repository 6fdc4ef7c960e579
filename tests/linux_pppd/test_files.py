"""Sets of files as one text: read, compared, masked."""

import pytest

from drivers.linux_pppd.files import NotAFileSet, difference, parse, text_of

SERVERS = "=== 0600 /etc/trunkline/radius/servers\n10.0.0.1 {}\n"
PAGE = "=== 0644 /etc/trunkline/garden/page.html\n<p>{}</p>\n"


def test_a_set_reads_back_to_the_same_text():
    """parse and text_of are inverse for a text in order."""
    text = PAGE.format("one") + SERVERS.format("s3cret")
    assert text_of(parse(text)) == text


def test_equal_sets_have_no_difference():
    """compare_config is "" when nothing would change."""
    assert difference(parse(PAGE.format(1)), parse(PAGE.format(1))) == ""


def test_a_difference_is_a_unified_diff_by_file():
    """What an engineer reads in a plan."""
    shown = difference(parse(PAGE.format("old")), parse(PAGE.format("new")))
    assert "-<p>old</p>\n+<p>new</p>\n" in shown
    assert shown.startswith("--- /etc/trunkline/garden/page.html\n")


def test_new_and_removed_files_are_shown_as_such():
    """From and to /dev/null, as diff does it."""
    assert "--- /dev/null" in difference({}, parse(PAGE.format(1)))
    assert "+++ /dev/null" in difference(parse(PAGE.format(1)), {})


def test_secrets_never_show_but_their_change_does():
    """A plan with a rotated secret is not empty and tells nobody the secret."""
    shown = difference(parse(SERVERS.format("first")), parse(SERVERS.format("second")))
    assert "secrets differ" in shown
    assert "first" not in shown
    assert "second" not in shown
    assert "first" not in text_of(parse(SERVERS.format("first")), sanitized=True)


def test_a_changed_mode_is_a_difference():
    """A script that lost its x bit does not run."""
    assert "mode 644 -> 755" in difference(
        parse(PAGE.format(1)), parse(PAGE.format(1).replace("0644", "0755"))
    )


@pytest.mark.parametrize(
    "text",
    [
        "hello\n",
        "=== 0644 /etc/passwd\nx\n",
        "=== 0644 /etc/ppp/../passwd\nx\n",
        "=== 0755 /etc/trunkline/agent\nx\n",
        "=== 0644 /etc/trunkline/state/pending\nx\n",
        "=== 0644 /etc/ppp/a b\nx\n",
        PAGE.format(1) + PAGE.format(2),
    ],
)
def test_only_our_own_files_can_be_in_a_set(text):
    """A candidate never writes outside /etc/ppp and /etc/trunkline, nor over the agent and its state."""
    with pytest.raises(NotAFileSet):
        parse(text)
