"""Everyday noise on the wire: bots, habits, hygiene and false alarms. Each function is one short episode."""

from __future__ import annotations

from typing import Final

from tocsin.demo.logbook import Logbook, file_hash
from tocsin.demo.organisation import SERVERS, Person
from tocsin.demo.sensors import native, suricata, wazuh
from tocsin.ticks import MINUTE, SECOND

_BOT: Final = "198.51.100.77"
_PAGE: Final = "203.0.113.88"


def stranger(log: Logbook) -> str:
    """An address outside, of the two documentation networks that the attacks use little of."""
    return f"{('198.51.100', '203.0.113')[log.between(0, 1)]}.{log.between(150, 254)}"


def knocks(log: Logbook, at: int, _: Person) -> None:
    """A bot knocks at a few doors."""
    source = stranger(log)
    for session in log.chance.sample(("telnet-knock", "desktop-knock", "telephone-probe", "management-probe"), 2):
        for _n in range(log.between(1, 3)):
            suricata.replay(log, session, at, {_BOT: source})
            at += log.seconds(20, 200)


def web_hunt(log: Logbook, at: int, _: Person) -> None:
    """A bot looks for forgotten files on the web server."""
    source = stranger(log)
    suricata.replay(log, "environment-hunt", at, {_BOT: source}, stretch=20)
    if log.between(0, 2):
        wazuh.web(log, at + 70 * SECOND, SERVERS["nv-web-01"], "web_errors", source, "GET /app/.env", 404)
    if log.between(0, 2) == 0:
        suricata.replay(log, "blog-hunt", at + 2 * MINUTE, {_BOT: source})


def web_probes(log: Logbook, at: int, _: Person) -> None:
    """A bot tries yesterday's weaknesses, without effect."""
    source = stranger(log)
    suricata.replay(log, log.chance.choice(("injection-probe", "naming-lookup")), at, {_BOT: source}, stretch=30)
    for number in range(log.between(1, 3)):
        path = log.chance.choice(
            ("/catalogue?id=1%20UNION%20SELECT%20null", "/search?q=%3Cscript%3E", "/?x=${jndi:ldap}")
        )
        wazuh.web(log, at + (20 + number * 35) * SECOND, SERVERS["nv-web-01"], "web_attack", source, f"GET {path}", 404)


def ssh_bot(log: Logbook, at: int, _: Person) -> None:
    """Password guessing against the jump account of the web server."""
    source, web = stranger(log), SERVERS[log.chance.choice(("nv-web-01", "nv-mx-01"))]
    names = log.chance.sample(("oracle7", "deploy", "minecraft", "ftpuser", "odoo", "pi4", "teamspeak", "hadoop"), 4)
    for number, name in enumerate(names[: log.between(2, 4)]):
        wazuh.sshd(log, at + number * 9 * SECOND, web, "sshd_unknown", name, source)
    suricata.replay(log, "ssh-guessing-outside", at + 40 * SECOND, {_BOT: source})
    wazuh.sshd(log, at + 55 * SECOND, web, "sshd_brute", names[0], source)


def adware(log: Logbook, at: int, who: Person) -> None:
    """A coupon toolbar talks to its maker."""
    desk = who.desk
    suricata.replay(log, "toolbar", at, {"10.20.11.17": desk.address}, stretch=40)
    native.report(
        log, at + 90 * SECOND, desk, "Unwanted browser toolbar found",
        "A toolbar that shows coupons came with a free program. It reports visited pages to its maker.",
        "Low", "Collection", "T1176", native.user(who), native.address(desk.address),
        native.file("cpal.dll", f"C:\\Users\\{who.account}\\AppData\\Local\\CouponPal", file_hash("cpal.dll")),
        native.url("http://ping.couponpal.example/t?v=3.1&aff=778"), family="CouponPal", category="UnwantedSoftware",
    )  # fmt: skip


def habits(log: Logbook, at: int, who: Person) -> None:
    """Something that policy does not like and that is no attack."""
    kinds = ("script-fetch", "program-fetch", "peer-discovery", "private-resolver", "own-address", "plain-password",
             "plain-ftp", "large-echo")  # fmt: skip
    session = log.chance.choice(kinds)
    outside = stranger(log)
    moved = {"10.20.10.41": who.desk.address, _PAGE: outside, "203.0.113.66": outside}
    for _n in range(log.between(1, 3)):
        suricata.replay(log, session, at, moved)
        at += log.seconds(30, 300)


def more_habits(log: Logbook, at: int, who: Person) -> None:
    """The same, with the other machines of the recording."""
    session = log.chance.choice(("dynamic-name", "expired-partner", "expired-inside", "plain-telnet"))
    desk = who.desk.address
    moved = {"10.20.11.17": desk, "10.20.13.52": desk, "10.20.10.41": desk, _PAGE: stranger(log)}
    for _n in range(log.between(1, 2)):
        suricata.replay(log, session, at, moved)
        at += log.seconds(30, 400)


def support_tool(log: Logbook, at: int, who: Person) -> None:
    """A remote support tool that nobody approved."""
    desk = who.desk
    suricata.replay(log, "support-tool", at, {"10.20.11.17": desk.address, _PAGE: stranger(log)})
    native.report(
        log, at + 40 * SECOND, desk, "Remote support tool that is not approved",
        f"{who.name} started DeskReach, a tool that lets people outside see and steer the screen.",
        "Medium", "CommandAndControl", "T1219", native.user(who), native.address(desk.address),
        native.file("deskreach.exe", f"C:\\Users\\{who.account}\\Downloads", file_hash(f"deskreach{who.account}")),
    )  # fmt: skip


def miner(log: Logbook, at: int, who: Person) -> None:
    """A mining program that came with a game."""
    desk = who.desk
    pool = stranger(log)
    suricata.replay(log, "mining-pool", at, {"10.20.10.41": desk.address, "203.0.113.66": pool})
    digest = file_hash(f"quarry{who.account}")
    native.report(
        log, at + 20 * SECOND, desk, "Coin mining program stopped",
        "A program that was unpacked with a game used the graphics card for mining and was stopped.",
        "Medium", "Impact", "T1496", native.user(who), native.address(pool), native.address(desk.address),
        native.file("quarry.exe", f"C:\\Users\\{who.account}\\AppData\\Roaming\\gx", digest), family="Quarry",
        category="UnwantedSoftware",
    )  # fmt: skip
    suricata.replay(log, "mining-pool", at + 3 * MINUTE, {"10.20.10.41": desk.address, "203.0.113.66": pool})


def scanner(log: Logbook, at: int, _: Person) -> None:
    """The organisation's own vulnerability scanner on its round."""
    target = SERVERS[log.chance.choice(("nv-fs-02", "nv-erp-01", "nv-build-01", "nv-print-01"))]
    moved = {"10.20.0.31": target.address, "10.20.0.22": target.address}
    suricata.replay(log, "scanner-round", at, moved, stretch=100)
    suricata.replay(log, "scanner-round", at + 6 * MINUTE, moved, stretch=100, first=1)
    source = SERVERS["nv-scan-01"].address
    if not target.is_windows:
        for number in range(4):
            wazuh.sshd(log, at + 2 * MINUTE + number * 7 * SECOND, target, "sshd_unknown", "tidegate-probe", source)
    else:
        for number in range(3):
            wazuh.logon_failed(
                log, at + 2 * MINUTE + number * 7 * SECOND, target, "win_failed", "tidegate-probe", source
            )


EPISODES: Final = (
    (knocks, 12, "any"), (web_hunt, 8, "any"), (web_probes, 10, "any"), (ssh_bot, 9, "any"), (scanner, 5, "any"),
    (adware, 4, "office"), (habits, 10, "office"), (more_habits, 6, "office"), (support_tool, 4, "office"),
    (miner, 2, "office"),
)  # fmt: skip
"""(episode, how many in two weeks, when it happens)."""
