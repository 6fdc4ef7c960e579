# The platform's part of the agent (the shared part stands above): accel-pppd, its VLANs, the firewall. See README.md.
CONF=/etc/accel-ppp.conf
SERVICE=accel-ppp


check_set() { # what the programs themselves can check, before anything is touched
    rules=$1/tree$HOME_DIR/firewall/rules.nft
    [ ! -f "$rules" ] || nft -c -f "$rules" 2>&1
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

activate() { # changed paths on stdin; how: reload | restart, of this commit or of the one that is taken back
    how=${how:-$(cat "$STATE/how" 2>/dev/null || echo restart)}
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
    elif [ "$how" = restart ] || ! answers; then
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
    apply_set "$1"
}

kept_of_commit() { echo "$how" >"$STATE/how"; } # a change that took a restart takes one back

boot() { # before accel-ppp starts: a commit that was cut off or never confirmed is undone; VLANs, settings, firewall
    rm -f "$RUN/cli-port"
    undo_unconfirmed
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

verb=$1
shift
case $verb in
apply | restore | confirm | boot | expire)
    locked "$verb" "$@" ;;
sessions) sessions ;;
version) cli show version ;;
end) end_session "$@" ;;
*) say "no such verb: $verb"; exit 2 ;;
esac
