# The platform's part of the agent (the shared part stands above): pppoe-server, the garden, the firewall. See README.md.

check_set() { # what the programs themselves can check, before anything is touched
    tree=$1/tree
    dns=$tree$HOME_DIR/garden/dns.conf
    [ ! -f "$dns" ] || dnsmasq --test -C "$dns" 2>&1 || return 1
    for script in $(manifest_paths "$1" | grep -E '/(session|hook)$|\.d/'); do
        sh -n "$tree$script" 2>&1 || return 1
    done
    for server in "$tree$HOME_DIR/garden/server.py" "$tree$HOME_DIR/ipv6/server.py"; do
        [ ! -f "$server" ] || /usr/bin/python3 -I -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$server" 2>&1 || return 1
    done
    firewall_check "$tree$HOME_DIR/firewall"
}

# --- daemons ------------------------------------------------------------------------------------------------

stop_daemon() { start-stop-daemon --stop --quiet --oknodo --pidfile "$RUN/$1.pid" --retry TERM/2/KILL/2; }

listeners() { for file in "$HOME_DIR"/access/*.args; do [ -f "$file" ] && basename "$file" .args; done; }

used_addresses() { # addresses of live sessions: a new listener must not give them again
    ip -4 -o addr show | awk '$2 ~ /^ppp/ { for (i = 1; i < NF; i++) if ($i == "peer") print $(i + 1) }' | sed 's,/.*,,'
}

live_ids() { # session ids in use on a port, from the command lines of their pppoe programs
    for file in "$RUN"/sessions/*; do
        [ -f "$file" ] && grep -q "^access=$1\$" "$file" && sed -n 's/^number=//p' "$file"
    done | sort -n
}

start_listener() {
    port=$1
    case $port in
    *.*) ip link show "$port" >/dev/null 2>&1 ||
        ip link add link "${port%.*}" name "$port" type vlan id "${port##*.}" || return 1 ;;
    esac
    ip link set "$port" up || return 1
    used_addresses >"$RUN/used"
    grep -vxF -f "$RUN/used" "$HOME_DIR/access/$port.pool" >"$RUN/$port.pool"
    highest=$(live_ids "$port" | tail -n 1)
    # shellcheck disable=SC2046  the file holds words for the command line
    pppoe-server -I "$port" $(cat "$HOME_DIR/access/$port.args") -p "$RUN/$port.pool" \
        -o "${highest:-0}" -X "$RUN/listen-$port.pid" 9>&- >"$RUN/listener.log" 2>&1
    for _ in 1 2 3 4 5 6 7 8 9 10; do # its exit status is 0 even for words that it does not know
        listener_pid "$port" >/dev/null && return 0
        sleep 0.2
    done
    head -n 2 "$RUN/listener.log" >&2
    return 1
}

listener_pid() {
    pid=$(tr -dc 0-9 <"$RUN/listen-$1.pid" 2>/dev/null)
    [ -n "$pid" ] && grep -q pppoe-server "/proc/$pid/comm" 2>/dev/null && echo "$pid"
}

stop_listener() { # SIGKILL: on SIGTERM pppoe-server would end every session; their pppd go on by themselves
    pid=$(listener_pid "$1") && kill -KILL "$pid"
    rm -f "$RUN/listen-$1.pid"
}

restart_listener() {
    stop_listener "$1"
    [ ! -f "$HOME_DIR/access/$1.args" ] || start_listener "$1"
}

restart_page() {
    stop_daemon page
    [ ! -f "$HOME_DIR/garden/server.py" ] || start-stop-daemon --start --quiet --background --make-pidfile \
        --pidfile "$RUN/page.pid" --exec /usr/bin/python3 -- -I "$HOME_DIR/garden/server.py"
}

restart_ipv6() {
    stop_daemon ipv6
    [ ! -f "$HOME_DIR/ipv6/server.py" ] || start-stop-daemon --start --quiet --background --make-pidfile \
        --pidfile "$RUN/ipv6.pid" --exec /usr/bin/python3 -- -I "$HOME_DIR/ipv6/server.py" serve
}

restart_dns() {
    stop_daemon dns
    [ ! -f "$HOME_DIR/garden/dns.conf" ] || dnsmasq -C "$HOME_DIR/garden/dns.conf" 9>&-
}

# --- the firewall: nftables, or iptables where the kernel has no nftables for IP (User-Mode Linux) -----------

FREE_GROUP=7001 HELD_GROUP=7002 # of interfaces, as the rules and the hook name them

has_nft() { nft -c 'add table inet trunkline' >/dev/null 2>&1; }

firewall_check() {
    [ -f "$1/rules.nft" ] || return 0
    if has_nft; then
        nft -c -f "$1/rules.nft" 2>&1
    else
        iptables-legacy-restore --test <"$1/rules.v4" 2>&1 && ip6tables-legacy-restore --test <"$1/rules.v6" 2>&1
    fi
}

firewall_load() { # one transaction: no packet meets half a ruleset
    group_sessions
    if [ ! -f "$HOME_DIR/firewall/rules.nft" ]; then
        firewall_clear
    elif has_nft; then
        nft -f "$HOME_DIR/firewall/rules.nft"
    else
        iptables-legacy-restore <"$HOME_DIR/firewall/rules.v4" && ip6tables-legacy-restore <"$HOME_DIR/firewall/rules.v6"
    fi
}

firewall_clear() {
    if has_nft; then
        nft 'add table inet trunkline; delete table inet trunkline'
    else
        printf '*filter\nCOMMIT\n*nat\nCOMMIT\n' | iptables-legacy-restore
        printf '*filter\nCOMMIT\n*raw\nCOMMIT\n' | ip6tables-legacy-restore
    fi
}

group_sessions() { # live sessions that the hook has noted and whose interfaces are in no group: from before there were groups
    for name in $(sessions | sed -n 's/^interface=\([^ ]*\) .*/\1/p'); do
        (
            note=$RUN/sessions/$name
            flock 8 # the hook's own
            grep -qx 0 "/sys/class/net/$name/netdev_group" || exit 0
            # Not by the note of a session whose end nobody saw and whose interface is another's by now.
            read -r owner <"/run/$name.pid" && grep -qx "pid=$owner" "$note" || exit 0
            if grep -qx garden=leave "$note"; then group=$FREE_GROUP; else group=$HELD_GROUP; fi
            ip link set dev "$name" group "$group"
        ) 8>"$RUN/$name.lock" 2>/dev/null
    done
}

# --- reloading only what a changed path asks for --------------------------------------------------------------

activate() { # changed paths on stdin
    cat >"$RUN/changed"
    changed() { grep -q "^$HOME_DIR/$1" "$RUN/changed"; }
    if changed sysctl.conf && [ -f "$HOME_DIR/sysctl.conf" ]; then sysctl -q -p "$HOME_DIR/sysctl.conf" || return 1; fi
    if changed addresses || changed boot; then own_addresses || return 1; fi
    if changed firewall/; then firewall_load || return 1; fi
    if changed garden/dns.conf; then restart_dns || return 1; fi
    if changed garden/server.py; then restart_page || return 1; fi
    if changed ipv6/; then restart_ipv6 || return 1; fi
    for port in $(sed -n "s,^$HOME_DIR/access/\(.*\)\.\(args\|pool\)\$,\1,p" "$RUN/changed" | sort -u); do
        restart_listener "$port" || { say "the listener on $port does not start"; return 1; }
    done
}

own_addresses() { # the gateway of all sessions, on lo
    [ ! -f "$HOME_DIR/addresses" ] || while read -r address; do ip addr replace "$address" dev lo; done <"$HOME_DIR/addresses"
}

apply() { apply_set "$1"; }

boot() { # what nobody confirmed is undone before anything starts
    rm -rf "$RUN/sessions"
    mkdir -p "$RUN/sessions"
    undo_unconfirmed
    manifest_paths "$STATE" | activate
}

# --- sessions -----------------------------------------------------------------------------------------------

sessions() { # the state file of every session whose pppd lives, in one line each
    for file in "$RUN"/sessions/*; do
        [ -f "$file" ] || continue
        name=$(basename "$file")
        pid=$(sed -n 's/^pid=//p' "$file")
        [ -e "/sys/class/net/$name" ] && grep -qx pppd "/proc/$pid/comm" 2>/dev/null || continue
        echo "interface=$name $(tr '\n' ' ' <"$file")"
    done
}

end_session() { # end INTERFACE LOGIN: only while that login is on it. Status 0 gone, 6 there is no such session
    file=$RUN/sessions/$1
    sessions | grep "^interface=$1 " | grep -qF " login=$2 " || return 6
    pid=$(sed -n 's/^pid=//p' "$file")
    kill -TERM "$pid" # pppd says goodbye to the subscriber and sends the Accounting Stop
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        grep -qx pppd "/proc/$pid/comm" 2>/dev/null || break
        sleep 0.5
    done
    grep -qx pppd "/proc/$pid/comm" 2>/dev/null && kill -KILL "$pid"
    sleep 0.1
    [ ! -e "/sys/class/net/$1" ] && rm -f "$file"
}

mkdir -p "$RUN/sessions"
verb=$1
shift
case $verb in
apply | restore | confirm | boot | expire)
    locked "$verb" "$@" ;;
firewall) # by hand: load the rules again
    firewall_load ;;
sessions) sessions ;;
end) end_session "$@" ;;
pending) [ -f "$STATE/pending" ] ;;
*) say "no such verb: $verb"; exit 2 ;;
esac
