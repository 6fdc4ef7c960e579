#!/bin/sh
# PID 1 of a User-Mode Linux guest. The kernel passes GUEST (the guest's folder on the host) in our environment.
# The root is the host's own, read-only; /etc is this guest's copy, which survives a restart of the guest.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620 devpts /dev/pts
mount -t tmpfs run /run
mount -t hostfs -o "$GUEST/etc" none /etc
mount -t tmpfs log /var/log
# Modules lie beside the kernel, where modprobe does not look by itself.
modules() {
    for module in "$@"; do
        modprobe -S "$(uname -r)" -d /run/modules "$module" 2>/dev/null || echo "no module $module"
    done
}
mkdir -p /run/modules/lib /run/sshd /run/lock /root 2>/dev/null
ln -s /usr/lib/uml/modules /run/modules/lib/modules
. "$GUEST/guest.env"
modules $MODULES

hostname "$NAME"
ip link set lo up
sh "$GUEST/network.sh"
/usr/sbin/sshd -f /etc/ssh/guest_sshd_config -E /run/sshd.log
[ -x /etc/trunkline/agent ] && /etc/trunkline/agent boot
echo "guest $NAME is up"
# Collect orphans for ever: pppd's children come to us when their listener is restarted.
while :; do
    sleep 3600 &
    wait $!
done
