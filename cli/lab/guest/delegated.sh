# What the subscriber's router does to get a prefix by DHCPv6: it asks on PORT and numbers lo (its LAN) from what it gets.
mountpoint -q /var/lib/dhcpv6 || mount -t tmpfs duid /var/lib/dhcpv6
# One that still runs holds the client's port: it may take its leave, and then it goes.
if [ -s /run/dhcp6c.pid ] && kill "$(cat /run/dhcp6c.pid)" 2>/dev/null; then
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 "$(cat /run/dhcp6c.pid)" 2>/dev/null || break
    sleep 0.3
  done
  kill -9 "$(cat /run/dhcp6c.pid)" 2>/dev/null
fi
rm -f /run/dhcp6c.pid
ip -6 address flush dev lo scope global
cat >/run/dhcp6c.conf <<END
interface PORT { send ia-pd 0; request domain-name-servers; };
id-assoc pd 0 { prefix-interface lo { sla-id 1; sla-len 8; ifid 1; }; };
END
dhcp6c -c /run/dhcp6c.conf -p /run/dhcp6c.pid PORT
