#!/bin/sh
# What the subscriber's DHCP client does with a lease: the address alone, and the way to the gateway. Nothing of the
# machine that the lab runs on is touched (dhclient's own script would write /etc/resolv.conf).
case $reason in
PREINIT) ip link set "$interface" up ;;
BOUND | RENEW | REBIND | REBOOT)
    [ "${old_ip_address:-$new_ip_address}" = "$new_ip_address" ] || ip -4 address flush dev "$interface"
    ip -4 address replace "$new_ip_address/32" dev "$interface"
    ip -4 route replace "${new_routers%% *}" dev "$interface"
    ip -4 route replace default via "${new_routers%% *}"
    ;;
EXPIRE | FAIL | RELEASE | STOP) ip -4 address flush dev "$interface" ;;
esac
exit 0
