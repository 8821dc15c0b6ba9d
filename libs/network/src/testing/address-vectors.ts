/** Addresses that must be refused and must be allowed: the vectors of Svix, smokescreen and OWASP in one list. */

export const DENIED_ADDRESSES: readonly string[] = `
10.254.0.0 192.168.10.65 172.16.10.65 0.1.2.3 0.0.0.0 127.0.0.1 127.254.254.254 169.254.169.254 169.254.45.1
255.255.255.255 224.1.2.3 233.252.0.16 192.0.0.0 192.0.0.255 192.0.2.255 198.51.100.65 203.0.113.6 100.100.0.0
100.64.0.1 100.127.255.254 192.88.99.3 198.18.0.0 240.240.240.240 ::0 ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:0.0.0.1
::ffff:a9fe:a9fe 2001:db8::1 3fff::dead:beef fe80::dead:beef febf:ffff::dead:beef fdee:3A45:9057::1
fd7a:115c:a1e0::1 fd00:ec2::254 2002:c000:0204::dead:beef 2002:c0a8:1::1 2002:a00:1::1 64:ff9b::c0a8:0
64:ff9b::808:808 64:ff9b::a00:1 64:ff9b:1::1 5f00::1 100::1:2:3:4 ff02::2
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:0:1234:5678:9abc:def0:1234:5678
`
  .trim()
  .split(/\s+/);

export const ALLOWED_ADDRESSES: readonly string[] = `
1.1.1.1 8.8.8.8 100.63.255.254 100.128.0.1 2001:4860:4860::8888 2606:4700:4700::1111 ::ffff:8.8.8.8 64:ff9c::1
198.20.0.1 172.32.0.1
`
  .trim()
  .split(/\s+/);
