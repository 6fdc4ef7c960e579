# The platform's part of the agent (the shared part stands above): Kea, its control socket, its reservations. See README.md.
CONF=/etc/kea/kea-dhcp4.conf
RESERVATIONS=$ROOT/etc/kea/trunkline-reservations.json
CHECK=$ROOT/etc/kea/.trunkline-check.conf # below /etc/kea: Debian's AppArmor profile lets Kea read nothing else
SERVICE=kea-dhcp4-server

kea() { /usr/bin/python3 -I "$ROOT$HOME_DIR/kea.py" "$@"; }

have_reservations() { # the configuration includes them: without the file it would not load
    [ -f "$RESERVATIONS" ] || echo '[]' >"$RESERVATIONS"
    chgrp _kea "$RESERVATIONS" 2>/dev/null && chmod 640 "$RESERVATIONS"
}

check_set() {
    [ -f "$1/tree$CONF" ] || return 0
    have_reservations
    install -m 644 "$1/tree$CONF" "$CHECK"
    said=$(kea-dhcp4 -t "$CHECK" 2>&1)
    status=$?
    rm -f "$CHECK"
    [ "$status" = 0 ] || echo "$said" | grep -vE ' (DEBUG|INFO|WARN) ' | sed "s,$CHECK,$CONF,g" | grep . | head -n 3
    return $status
}

activate() { # changed paths on stdin
    grep -q "^$CONF\$" || return 0
    have_reservations
    if [ ! -f "$ROOT$CONF" ]; then
        stop
    elif kea answers; then
        kea reload
    else
        start
    fi
}

start() {
    stop
    if [ -d /run/systemd/system ]; then
        systemctl restart "$SERVICE"
    else
        mkdir -p /run/kea /run/lock/kea /var/lib/kea /var/log/kea
        KEA_LOCKFILE_DIR=/run/lock/kea start-stop-daemon --start --quiet --background \
            --exec /usr/sbin/kea-dhcp4 -- -c "$ROOT$CONF"
    fi
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        kea answers && return 0
        sleep 0.3
    done
    say "kea-dhcp4 does not start: $(grep -h ERROR /var/log/kea/kea-dhcp4.log 2>/dev/null | tail -n 1)"
    return 1
}

stop() {
    if [ -d /run/systemd/system ]; then
        systemctl stop "$SERVICE"
    else
        start-stop-daemon --stop --quiet --oknodo --pidfile /run/kea/kea-dhcp4.kea-dhcp4.pid \
            --exec /usr/sbin/kea-dhcp4 --retry TERM/5/KILL/2
    fi
}

apply() { apply_set "$1"; }

boot() { # what nobody confirmed is undone before Kea starts
    undo_unconfirmed
    manifest_paths "$STATE" | activate
}

objects() { kea objects "$RESERVATIONS"; }

verb=$1
shift
case $verb in
apply | restore | confirm | boot | expire | objects)
    locked "$verb" "$@" ;;
leases) kea leases ;;
end) kea end "$@" ;;
version) kea-dhcp4 -v 2>&1 ;;
*) say "no such verb: $verb"; exit 2 ;;
esac
