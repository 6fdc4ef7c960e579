# What the subscriber's router does to get a prefix by DHCPv6: it asks on PORT and numbers lo (its LAN) from what it gets.
mountpoint -q /var/lib/dhcpv6 || mount -t tmpfs duid /var/lib/dhcpv6
# The client of the session before ends with it. Asked to end, it would take its pid file away, tell a server that is gone
# for half a minute that it leaves, and hold its ports meanwhile: the next one would not start.
if old=$(cat /run/dhcp6c.pid 2>/dev/null) && kill -9 "$old" 2>/dev/null; then
  while kill -0 "$old" 2>/dev/null; do sleep 0.1; done
fi
rm -f /run/dhcp6c.pid
ip -6 address flush dev lo scope global
cat >/run/dhcp6c.conf <<END
interface PORT { send ia-pd 0; request domain-name-servers; };
id-assoc pd 0 { prefix-interface lo { sla-id 1; sla-len 8; ifid 1; }; };
END
dhcp6c -c /run/dhcp6c.conf -p /run/dhcp6c.pid PORT
