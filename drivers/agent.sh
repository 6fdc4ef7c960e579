#!/bin/sh
# The device's side of every driver of files: installs a set of files, lets the platform reload what changed, and undoes
# it by its own timer when nobody confirms. Everything it keeps lies in /etc/trunkline.
#
# A platform's own part follows below this one and gives
#   check_set DIR   what the programs themselves can check of a set before anything is touched; says why not
#   activate        reload or restart what the changed paths on its input ask for
#   kept_of_commit  what is to be remembered of a commit beside its files (optional)
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 077
AGENT=$0
ROOT=${AGENT%/etc/trunkline/agent} # "" on a device; a folder with its own bin where the driver is tried
[ -z "$ROOT" ] || PATH=$ROOT/bin:$PATH
HOME_DIR=/etc/trunkline
STATE=$ROOT$HOME_DIR/state
RUN=$ROOT/run/trunkline

say() { echo "$*" >&2; }
manifest_paths() { [ -f "$1/manifest" ] && sed 's/^[0-7]* //' "$1/manifest"; }
kept_of_commit() { :; }

# --- a set of files: DIR/manifest ("mode path" a line) and DIR/tree ---------------------------------------

snapshot() { # what runs now, as a set, so that it can be installed again
    rm -rf "$STATE/previous.new"
    mkdir -p "$STATE/previous.new/tree"
    manifest_paths "$STATE" >"$RUN/paths"
    manifest_paths "$1" >>"$RUN/paths"
    sort -u "$RUN/paths" | while read -r path; do
        [ -f "$ROOT$path" ] || continue
        mkdir -p "$STATE/previous.new/tree$(dirname "$path")"
        cp -p "$ROOT$path" "$STATE/previous.new/tree$path"
        echo "$(stat -c %a "$ROOT$path") $path" >>"$STATE/previous.new/manifest"
    done
    [ -f "$STATE/previous.new/manifest" ] || : >"$STATE/previous.new/manifest"
    rm -rf "$STATE/previous"
    mv "$STATE/previous.new" "$STATE/previous"
}

install_set() { # prints the paths that changed
    while read -r mode path; do
        if ! cmp -s "$1/tree$path" "$ROOT$path" || [ "$(stat -c %a "$ROOT$path")" != "$mode" ]; then
            mkdir -p -m 755 "$(dirname "$ROOT$path")"
            cp "$1/tree$path" "$ROOT$path.tl-new" && chmod "$mode" "$ROOT$path.tl-new" &&
                mv "$ROOT$path.tl-new" "$ROOT$path" || return 1
            echo "$path"
        fi
    done <"$1/manifest"
    manifest_paths "$STATE" | while read -r path; do
        grep -q " $path\$" "$1/manifest" && continue
        rm -f "$ROOT$path"
        echo "$path"
    done
    cp "$1/manifest" "$STATE/manifest"
    sync
}

# --- commit, timer, rollback --------------------------------------------------------------------------------

apply_set() { # apply_set SECONDS: STATE/stage becomes what runs; 0 = final. Status 3: refused or failed, the old set runs
    [ ! -f "$STATE/pending" ] || { say "a commit waits for its confirmation"; return 3; }
    [ ! -f "$STATE/applying" ] || restore || return 4 # a change before this one was cut off half way
    said=$(check_set "$STATE/stage") || { say "$said"; return 3; }
    snapshot "$STATE/stage"
    kept_of_commit
    : >"$STATE/applying"
    [ "$1" = 0 ] || arm $(($1 + 120)) # should this script itself be cut off
    if ! { install_set "$STATE/stage" >"$RUN/installed" && activate <"$RUN/installed"; }; then
        restore || { say "and the previous set does not load"; return 4; }
        return 3
    fi
    [ "$1" = 0 ] || arm "$1"
    rm -f "$STATE/applying"
    cat "$RUN/installed"
}

arm() { # the timer lives on the device: whoever asked may die. A reboot before the confirmation restores, too
    token=$(cat /proc/sys/kernel/random/uuid)
    echo "$token $(($(date +%s) + $1))" >"$STATE/pending"
    setsid sh -c "sleep $1; exec '$AGENT' expire $token" </dev/null >/dev/null 2>&1 9>&- &
}

expire() { # only the timer of the commit that still waits may restore
    grep -q "^$1 " "$STATE/pending" 2>/dev/null && restore
}

restore() {
    [ -d "$STATE/previous" ] || { say "nothing was committed here before"; return 5; }
    : >"$STATE/applying"
    install_set "$STATE/previous" >"$RUN/installed"
    activate <"$RUN/installed" || return 4
    forget_previous
}

confirm() {
    [ -f "$STATE/pending" ] || { say "no commit waits for a confirmation"; return 5; }
    rm -f "$STATE/pending"
}

forget_previous() { rm -rf "$STATE/previous" "$STATE/pending" "$STATE/applying" "$STATE/how"; }

undo_unconfirmed() { # at boot: a commit that was cut off or never confirmed, before anything starts
    [ -f "$STATE/applying" ] || [ -f "$STATE/pending" ] || return 0
    install_set "$STATE/previous" >/dev/null
    forget_previous
}

locked() { # locked VERB WORDS: one change at a time
    exec 9>"$RUN/lock"
    flock -w 30 9 || { say "another change is running"; exit 7; }
    "$@"
}

mkdir -p "$RUN" "$STATE"
