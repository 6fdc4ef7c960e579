#!/bin/sh
# The device's side of the accel_ppp driver: installs a set of files, reloads or restarts accel-pppd, and undoes it by
# its own timer when nobody confirms. Everything it keeps lies in /etc/trunkline. See README.md.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
umask 077
AGENT=$0
ROOT=${AGENT%/etc/trunkline/agent} # "" on a device; a folder with its own bin where the driver is tried
[ -z "$ROOT" ] || PATH=$ROOT/bin:$PATH
HOME_DIR=/etc/trunkline
STATE=$ROOT$HOME_DIR/state
RUN=$ROOT/run/trunkline
CONF=/etc/accel-ppp.conf
SERVICE=accel-ppp

say() { echo "$*" >&2; }
manifest_paths() { [ -f "$1/manifest" ] && sed 's/^[0-7]* //' "$1/manifest"; }

# --- a set of files: DIR/manifest ("mode path" a line) and DIR/tree ---------------------------------------

check_set() { # what the programs themselves can check, before anything is touched
    rules=$1/tree$HOME_DIR/firewall/rules.nft
    [ ! -f "$rules" ] || nft -c -f "$rules" 2>&1
}

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

# --- accel-pppd ---------------------------------------------------------------------------------------------

cli_port() { # of the daemon that runs: noted when it was started, otherwise what the file says
    port=$(cat "$RUN/cli-port" 2>/dev/null)
    [ -n "$port" ] || port=$(conf_port)
    echo "${port:-2001}"
}

conf_port() { sed -n 's/^tcp=127\.0\.0\.1:\([0-9]*\)$/\1/p' "$ROOT$CONF" 2>/dev/null | head -n 1; }

cli() { # one command by accel-cmd's input; its lines end in CR LF. Status 3: nobody listens
    printf '%s\n' "$*" | accel-cmd -n -H 127.0.0.1 -p "$(cli_port)" -t 15 >"$RUN/cli.$$" 2>"$RUN/cli-error.$$"
    status=$?
    tr -d '\r' <"$RUN/cli.$$"
    cat "$RUN/cli-error.$$" >&2
    rm -f "$RUN/cli.$$" "$RUN/cli-error.$$"
    return $status
}

answers() { [ -n "$(cli show version 2>/dev/null)" ]; }

live() { cli show sessions sid | sed 1,2d | grep -c .; }

start() { # restart or start; what says that it is up is its CLI
    rm -f "$RUN/cli-port"
    systemctl restart "$SERVICE" || { say "systemctl restart $SERVICE failed"; return 1; }
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        if answers; then
            conf_port >"$RUN/cli-port"
            return 0
        fi
        sleep 0.5
    done
    say "accel-pppd does not answer on its CLI within 10 s; see /var/log/accel-ppp/core.log and the journal"
    return 1
}

reload() { # accel-cmd says nothing when it is done, "failed" when the file does not parse
    said=$(cli reload) || { say "accel-cmd reload: status $?"; return 1; }
    case $said in
    '') answers || { say "accel-pppd does not answer after its reload"; return 1; } ;;
    *) say "accel-cmd reload: $said"; return 1 ;;
    esac
}

activate() { # changed paths on stdin, $1 = reload | restart
    cat >"$RUN/changed"
    changed() { grep -q "^$1" "$RUN/changed"; }
    if changed $HOME_DIR/sysctl.conf && [ -f "$ROOT$HOME_DIR/sysctl.conf" ]; then
        sysctl -q -p "$ROOT$HOME_DIR/sysctl.conf" || return 1
    fi
    if changed $HOME_DIR/vlans; then vlans || return 1; fi
    if changed $HOME_DIR/firewall/; then firewall || return 1; fi
    changed $CONF || return 0
    if [ ! -f "$ROOT$CONF" ]; then
        systemctl stop "$SERVICE"
    elif [ "$1" = restart ] || ! answers; then
        start
    else
        reload
    fi
}

vlans() { # S-VLANs that are missing; one that left the intent stays until a reboot: sessions may live on it
    [ -f "$ROOT$HOME_DIR/vlans" ] || return 0
    grep -v '^#' "$ROOT$HOME_DIR/vlans" | while read -r port tag protocol; do
        [ -n "$tag" ] || continue
        ip link show "$port.$tag" >/dev/null 2>&1 ||
            ip link add link "$port" name "$port.$tag" type vlan proto "$protocol" id "$tag" || exit 1
        ip link set "$port" up && ip link set "$port.$tag" up || exit 1
    done
}

firewall() { # one transaction: no packet meets half a ruleset
    if [ -f "$ROOT$HOME_DIR/firewall/rules.nft" ]; then
        nft -f "$ROOT$HOME_DIR/firewall/rules.nft"
    else
        nft 'add table inet trunkline; delete table inet trunkline'
    fi
}

# --- commit, timer, rollback --------------------------------------------------------------------------------

apply() { # apply SECONDS HOW: STATE/stage becomes what runs; 0 = final. Status 3: refused or failed, the old set runs
    [ ! -f "$STATE/pending" ] || { say "a commit waits for its confirmation"; return 3; }
    [ ! -f "$STATE/applying" ] || restore || return 4 # a change before this one was cut off half way
    how=$2
    if [ "$how" = restart-if-idle ]; then
        how=restart
        if answers && [ "$(live)" -gt 0 ]; then
            say "accel-pppd must restart for this change and $(live) sessions live on it;" \
                "take it out of service first, or allow it in the intent: options: {restart: always}"
            return 3
        fi
    fi
    said=$(check_set "$STATE/stage") || { say "$said"; return 3; }
    snapshot "$STATE/stage"
    echo "$how" >"$STATE/how"
    : >"$STATE/applying"
    [ "$1" = 0 ] || arm $(($1 + 120)) # should this script itself be cut off
    if ! { install_set "$STATE/stage" >"$RUN/installed" && activate "$how" <"$RUN/installed"; }; then
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

restore() { # a change that took a restart takes one back
    [ -d "$STATE/previous" ] || { say "nothing was committed here before"; return 5; }
    : >"$STATE/applying"
    install_set "$STATE/previous" >"$RUN/installed"
    activate "$(cat "$STATE/how" 2>/dev/null || echo restart)" <"$RUN/installed" || return 4
    rm -rf "$STATE/previous" "$STATE/pending" "$STATE/applying" "$STATE/how"
}

confirm() {
    [ -f "$STATE/pending" ] || { say "no commit waits for a confirmation"; return 5; }
    rm -f "$STATE/pending"
}

boot() { # before accel-ppp starts: a commit that was cut off or never confirmed is undone; VLANs, settings, firewall
    rm -f "$RUN/cli-port"
    if [ -f "$STATE/applying" ] || [ -f "$STATE/pending" ]; then
        install_set "$STATE/previous" >/dev/null
        rm -rf "$STATE/previous" "$STATE/pending" "$STATE/applying" "$STATE/how"
    fi
    [ ! -f "$ROOT$HOME_DIR/sysctl.conf" ] || sysctl -q -p "$ROOT$HOME_DIR/sysctl.conf"
    vlans && firewall
}

# --- sessions -----------------------------------------------------------------------------------------------

# The login stands last: it may hold any character, the other columns hold no "|".
COLUMNS=sid,ifname,ip,calling-sid,state,type,username

sessions() { cli show sessions $COLUMNS; }

end_session() { # end SID: status 0 gone, 6 there was no such session. Soft first: PPP says goodbye, RADIUS gets its Stop
    has_session "$1" || return 6
    for force in soft hard; do
        cli terminate sid "$1" "$force" >/dev/null || return 1
        for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
            has_session "$1" || return 0
            sleep 0.5
        done
    done
    say "session $1 does not end"
    return 1
}

has_session() { cli show sessions sid | sed 1,2d | tr -d ' ' | grep -qxF "$1"; }

mkdir -p "$RUN" "$STATE"
verb=$1
shift
case $verb in
apply | restore | confirm | boot | expire)
    exec 9>"$RUN/lock"
    flock -w 30 9 || { say "another change is running"; exit 7; }
    "$verb" "$@"
    ;;
sessions) sessions ;;
version) cli show version ;;
end) end_session "$@" ;;
*) say "no such verb: $verb"; exit 2 ;;
esac
