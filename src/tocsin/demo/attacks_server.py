"""Attacks on what is published: the storefront, and the sign-in pages."""

# ruff: noqa: S108 (paths on invented machines)

from __future__ import annotations

from typing import Final

from tocsin.demo.logbook import Logbook, file_hash
from tocsin.demo.organisation import PEOPLE, PUBLIC_GATEWAY, SERVERS, person
from tocsin.demo.sensors import native, sentinel, suricata, wazuh
from tocsin.ticks import HOUR, MINUTE, SECOND

_ATTACKER: Final = "198.51.100.23"
_DROP: Final = "203.0.113.66"
_SHELL: Final = "/srv/shop/media/cache/a91f.php"
_UPLOAD: Final = "http://drop.paperlantern.example/in/4471"


def storefront_shell(log: Logbook) -> None:
    """From a probe of the shop to a web shell, a scan inside, a database dump, and its upload."""
    log.story = "storefront-shell"
    at = log.workday(8, 19, 24)
    _shop_probed(log, at)
    _shell_placed(log, at + 9 * MINUTE)
    _network_looked_at(log, at + 24 * MINUTE)
    _database_taken(log, at + 36 * MINUTE)
    _dump_uploaded(log, at + 58 * MINUTE)


def _shop_probed(log: Logbook, at: int) -> None:
    web = SERVERS["nv-web-01"]
    suricata.replay(log, "sweep-outside", at, stretch=40)
    suricata.replay(log, "web-probe", at + 3 * MINUTE, stretch=30)
    wazuh.web(log, at + 3 * MINUTE + 20 * SECOND, web, "web_errors", _ATTACKER, "GET /backup.zip", 404)
    for number, path in enumerate(("/static/..%2f..%2fetc/passwd", "/catalogue?id=7%20union%20select%20name")):
        wazuh.web(log, at + (4 + number) * MINUTE, web, "web_attack", _ATTACKER, f"GET {path}", 404)


def _shell_placed(log: Logbook, at: int) -> None:
    web = SERVERS["nv-web-01"]
    suricata.replay(log, "web-exploit", at, stretch=60)
    wazuh.web(log, at + 10 * SECOND, web, "web_attack_200", _ATTACKER, "POST /media/render", 200)
    wazuh.syscheck(log, at + 25 * SECOND, web, "file_added", _SHELL, file_hash("a91f.php"), "www-data")
    native.report(
        log, at + 45 * SECOND, web, "Web shell written by the web server process",
        f"The process of the storefront wrote {_SHELL}, a script that runs whatever its query says.",
        "High", "Persistence", "T1505.003",
        native.file("a91f.php", "/srv/shop/media/cache", file_hash("a91f.php")), native.account("www-data"),
        native.address(_ATTACKER), native.address(web.address),
    )  # fmt: skip
    for number, command in enumerate(("sh -c id", "sh -c cat /srv/shop/settings.py", "sh -c ip route")):
        data: wazuh.Thing = {"srcip": _ATTACKER, "audit": {"exe": "/usr/bin/dash", "command": command, "pid": "48211"}}
        line = f"audit: comm={command!r} exe=/usr/bin/dash uid=33 ppid=1207"
        wazuh.report(log, at + (1 + number) * MINUTE, web, "web_child", line, data, decoder="auditd")


def _network_looked_at(log: Logbook, at: int) -> None:
    web = SERVERS["nv-web-01"]
    suricata.replay(log, "sweep-inside", at + 30 * SECOND, stretch=20)
    native.report(
        log, at, web, "Port scan started from a web server",
        "A script run by the web server account opens seven ports on each of the servers.",
        "Medium", "Discovery", "T1046", native.account("www-data"), native.address(web.address),
        native.file("p.sh", "/tmp/.x", file_hash("p.sh")), native.address(_ATTACKER),
    )  # fmt: skip
    wazuh.syscheck(log, at + 2 * MINUTE, web, "cron_added", "/etc/cron.d/fontcache", file_hash("fontcache"))
    suricata.replay(log, "ssh-guessing-inside", at + 5 * MINUTE)


def _database_taken(log: Logbook, at: int) -> None:
    web, store, files = SERVERS["nv-web-01"], SERVERS["nv-db-01"], SERVERS["nv-fs-02"]
    for number in range(5):
        wazuh.sshd(log, at - 6 * MINUTE + number * 22 * SECOND, store, "sshd_failed", "shopadmin", web.address)
    wazuh.sshd(log, at - 3 * MINUTE, store, "sshd_brute", "shopadmin", web.address)
    wazuh.sshd(log, at - 2 * MINUTE, store, "sshd_after_brute", "shopadmin", web.address)
    wazuh.sshd(log, at - 1 * MINUTE, store, "sshd_new_source", "shopadmin", web.address)
    native.report(
        log, at + MINUTE, [store, web], "Whole database dumped by an interactive session",
        "A dump of all tables was written to /tmp by an account that had just logged on from the web server.",
        "High", "Collection", "T1005", native.account("shopadmin"), native.address(web.address),
        native.file("c.sql", "/tmp", file_hash("c.sql")),
        native.process(5120, at, "pg_dump", "/usr/lib/postgresql/15/bin", "pg_dump -Fp shop -f /tmp/c.sql"),
    )  # fmt: skip
    wazuh.report(log, at + 4 * MINUTE, store, "sudo_root", "sudo: shopadmin : USER=root ; COMMAND=/usr/bin/scp",
                 {"srcuser": "shopadmin", "dstuser": "root"}, program="sudo", decoder="sudo",
                 user="shopadmin")  # fmt: skip
    wazuh.windows(log, at + 7 * MINUTE, files, "win_share", 5140,
                  {"subjectUserName": "shopadmin", "ipAddress": web.address, "shareName": "\\\\*\\export"},
                  "A network share object was accessed.")  # fmt: skip


def _dump_uploaded(log: Logbook, at: int) -> None:
    web = SERVERS["nv-web-01"]
    suricata.replay(log, "web-shell-later", at - 6 * MINUTE, stretch=300)
    suricata.replay(log, "archive-upload", at, {}, stretch=400)
    wazuh.report(log, at + 15 * SECOND, web, "web_tool", "audit: comm=curl exe=/usr/bin/curl uid=33",
                 {"srcip": _ATTACKER, "dstip": _DROP, "url": _UPLOAD}, decoder="auditd")  # fmt: skip
    native.report(
        log, at + 40 * SECOND, web, "Archive sent to an address outside by the web server account",
        "Three parts of a 7-Zip archive were posted to a file drop that no other machine has used.",
        "High", "Exfiltration", "T1041", native.url(_UPLOAD), native.address(_DROP), native.address(web.address),
        native.file("customers.7z.001", "/tmp", file_hash("customers.7z.001")), native.account("www-data"),
    )  # fmt: skip
    wazuh.syscheck(log, at + 5 * MINUTE, web, "file_deleted", "/tmp/.x/p.sh", file_hash("p.sh"), "www-data")
    sentinel.report(
        log, at + 11 * MINUTE, "rule", "Upload volume of a published server far above its usual level",
        f"{web.name} sent 1.9 GB to one address outside within a quarter of an hour; its usual day is 40 MB.",
        "Medium", "Exfiltration", "T1048", sentinel.host(web), sentinel.address(_DROP, "NL"), sentinel.url(_UPLOAD),
    )  # fmt: skip


_SPRAYER: Final = "198.51.100.77"
_LEILA: Final = "leila.haddad"
_SESSION: Final = "3b1e5a70-7c1d-4f0a-9d54-6c2f8e11b7aa"


def password_spray(log: Logbook) -> None:
    """One password for everybody, one success, tired approval of a prompt, and a session through the gateway."""
    log.story = "password-spray"
    at = log.before(hours=6, minutes=10)
    _everybody_tried(log, at)
    _one_success(log, at + 48 * MINUTE)
    _inside_through_gateway(log, at + 2 * HOUR)
    _mailbox_searched(log, at + 4 * HOUR)


def _everybody_tried(log: Logbook, at: int) -> None:
    gateway = SERVERS["nv-gw-01"]
    outside = {PUBLIC_GATEWAY: gateway.address}
    staff = [one for one in PEOPLE if one.department in ("Support", "Legal", "People")]
    suricata.replay(log, "gateway-burst", at)
    for number, one in enumerate(staff[:8]):
        data: wazuh.Thing = {"srcip": _SPRAYER, "dstuser": one.account}
        line = f"gateway: login {one.account} from {_SPRAYER} refused: password"
        wazuh.report(log, at + (1 + number) * 40 * SECOND, gateway, "vpn_failed", line, data,
                     program="gateway", decoder="gateway", user=one.account)  # fmt: skip
    wazuh.report(log, at + 6 * MINUTE, gateway, "vpn_spray", f"gateway: 76 refused logins from {_SPRAYER}",
                 {"srcip": _SPRAYER, "dstip": gateway.address}, program="gateway", decoder="gateway")  # fmt: skip
    suricata.replay(log, "webmail-refusals", at + 8 * MINUTE, outside)
    sentinel.report(
        log, at + 5 * MINUTE, "identity", "Password spray against many accounts",
        "One address tried the same password on 76 accounts within twenty minutes.",
        "High", "CredentialAccess", "T1110.003", sentinel.address(_SPRAYER, "MD"), sentinel.account(person(_LEILA)),
        sentinel.host(gateway), lasted=10 * MINUTE,
    )  # fmt: skip
    suricata.replay(log, "gateway-burst", at + 27 * MINUTE)


def _one_success(log: Logbook, at: int) -> None:
    leila = person(_LEILA)
    who, where = sentinel.account(leila), sentinel.address(_SPRAYER, "MD")
    session = sentinel.session(_SESSION)
    rows = (
        (0, "identity", "Sign-in with a password that was just sprayed", "High", "InitialAccess", "T1078.004",
         "The password tried on many accounts was right for this one."),
        (6, "identity", "Many unanswered sign-in prompts", "Medium", "CredentialAccess", "T1621",
         "Nineteen approval requests were sent to the phone within six minutes."),
        (11, "identity", "Sign-in prompt approved after many refusals", "High", "CredentialAccess", "T1621",
         "The twentieth request was approved; the phone was in another country than the browser."),
        (19, "cloud", "New phone registered for sign-in", "Medium", "Persistence", "T1098.005",
         "A second authenticator was added eight minutes after a risky sign-in."),
    )  # fmt: skip
    for minutes, product, name, severity, tactic, technique, text in rows:
        sentinel.report(
            log, at + minutes * MINUTE, product, name, text, severity, tactic, technique, who, where, session
        )
    sentinel.report(
        log, at + 44 * MINUTE, "cloud", "Sign-in from an anonymising network",
        "A session of this account comes through a network that hides where its users are.",
        "Medium", "CommandAndControl", "T1090.003", who, where, session, sentinel.address("203.0.113.140"),
    )  # fmt: skip


def _inside_through_gateway(log: Logbook, at: int) -> None:
    leila, gateway, files = person(_LEILA), SERVERS["nv-gw-01"], SERVERS["nv-fs-02"]
    inner = "10.20.60.14"
    data: wazuh.Thing = {"srcip": _SPRAYER, "dstuser": leila.account, "dstip": inner}
    wazuh.report(log, at - 20 * MINUTE, gateway, "vpn_login",
                 f"gateway: session {leila.account} from {_SPRAYER} given {inner}", data,
                 program="gateway", decoder="gateway", user=leila.account)  # fmt: skip
    suricata.replay(log, "admin-share", at - 12 * MINUTE, {"10.20.10.41": inner, "10.20.0.31": files.address})
    fields: wazuh.Thing = {"targetUserName": leila.account, "ipAddress": inner, "logonType": "3"}
    wazuh.windows(log, at - 11 * MINUTE, files, "win_ntlm", 4624, fields, "An account was successfully logged on.")
    wazuh.windows(log, at - 10 * MINUTE, files, "win_share", 5140,
                  {"subjectUserName": leila.account, "ipAddress": inner, "shareName": "\\\\*\\ADMIN$"},
                  "A network share object was accessed.")  # fmt: skip
    native.report(
        log, at - 4 * MINUTE, files, "Directory listing of every share by one account",
        f"The account {leila.account} walked through 2,300 folders of {files.name} within four minutes.",
        "Medium", "Discovery", "T1135", native.user(leila), native.address(inner), native.address(files.address),
    )  # fmt: skip
    native.report(
        log, at + 3 * MINUTE, files, "File with passwords opened over the network",
        "A text file whose name suggests passwords was read by an account that never opened it before.",
        "High", "CredentialAccess", "T1552.001", native.user(leila), native.address(inner),
        native.file("switch-passwords.txt", "D:\\Shares\\Support", file_hash("switch-passwords")),
    )  # fmt: skip


def _mailbox_searched(log: Logbook, at: int) -> None:
    leila = person(_LEILA)
    who, where, session = sentinel.account(leila), sentinel.address(_SPRAYER, "MD"), sentinel.session(_SESSION)
    rows = (
        (-75, "cloud", "Mailbox searched for words like password and token", "Medium", "Collection", "T1114.002",
         "Forty searches for secrets were made in one mailbox from a risky session."),
        (-41, "cloud", "Files with customer names shared by an open link", "Medium", "Exfiltration", "T1567",
         "Eleven documents of the support library were given links that anyone can open."),
        (-6, "identity", "Risky session goes on after the password was changed", "High", "Persistence", "T1550.001",
         "A token issued before the change is still in use from the sprayer's address."),
        (47, "cloud", "Support library downloaded in bulk", "High", "Exfiltration", "T1530",
         "3,906 files were fetched in twelve minutes, against a usual day of 40."),
        (84, "mail", "Inbox rule deletes security notices", "High", "DefenseEvasion", "T1564.008",
         "A new rule deletes whatever the security team sends."),
    )  # fmt: skip
    for minutes, product, name, severity, tactic, technique, text in rows:
        sentinel.report(
            log, at + minutes * MINUTE, product, name, text, severity, tactic, technique, who, where, session
        )
    for minutes in (-55, -20, 24, 66, 96):
        sentinel.report(
            log, at + minutes * MINUTE, "identity", "Sign-in from an address linked to an attack",
            "The address took part in a password spray against this organisation today.",
            "Medium", "InitialAccess", "T1078.004", who, where, session,
        )  # fmt: skip


STORIES: Final = {
    "storefront-shell": (
        "An image service of the web shop runs an attacker's code; a web shell, a scan, a guessed database password "
        "and an uploaded dump follow within the hour.",
        ("suricata", "wazuh", "native", "sentinel"),
        storefront_shell,
    ),
    "password-spray": (
        "One password tried on everybody fits a support technician, who approves the twentieth prompt; the thief comes "
        "in through the gateway and is still at work.",
        ("suricata", "wazuh", "sentinel", "native"),
        password_spray,
    ),
}
