"""Attacks that live on workstations: a false installer on its way to ransomware, and a worm on memory sticks."""

from __future__ import annotations

from typing import Final

from tocsin.demo.logbook import Logbook, file_hash
from tocsin.demo.organisation import PEOPLE, SERVERS, Host, Person, person
from tocsin.demo.sensors import native, sentinel, suricata, wazuh
from tocsin.ticks import HOUR, MINUTE, SECOND

INSTALLER_SHA256: Final = "68d19e6a04d52feeb95b8d4096fd85bd1c7ace1729545cefa6ae8b75e955acf6"
"""What Suricata computed of the file that `scripts/record_network` serves."""
_CONTROL: Final = "203.0.113.45"
_POLL: Final = "http://edge.lumensync.example/sync/v2/poll?sid=7f31c9a2"
_DOWNLOAD: Final = "http://pagepress-download.example/get/PagePress-Setup.exe"
_BEACON: Final = file_hash("ppsync.dll")
_TEMP: Final = "C:\\Users\\tomasz.zielinski\\AppData\\Local\\Temp"


def fake_installer(log: Logbook) -> None:
    """From a false PDF editor to the domain's secrets and the preparation of encryption; still going on."""
    log.story = "fake-installer"
    tomasz = person("tomasz.zielinski")
    _installed(log, log.before(hours=23, minutes=40), tomasz)
    for hours in (22, 19.5, 16, 12, 8.5, 5.6):
        _calls_home(log, log.before(hours=hours), tomasz)
    _secrets_read(log, log.before(hours=5, minutes=31), tomasz)
    _domain_taken(log, log.before(hours=4, minutes=38), tomasz)
    _shares_visited(log, log.before(hours=2, minutes=40), tomasz)
    _encryption_prepared(log, log.before(hours=1, minutes=12))


def _installed(log: Logbook, at: int, who: Person) -> None:
    desk = who.desk
    moved = {"10.20.10.41": desk.address}
    suricata.replay(log, "installer-download", at, moved, stretch=100)
    sentinel.report(
        log, at + 20 * SECOND, "mail", "Link of an advertisement leads to a false download page",
        f"{who.name} followed a paid search result to a page that imitates a maker of PDF software.",
        "Low", "InitialAccess", "T1583.008", sentinel.account(who), sentinel.url(_DOWNLOAD), sentinel.host(desk),
    )  # fmt: skip
    setup = native.process(7340, at + 2 * MINUTE, "PagePress-Setup.exe", "C:\\Users\\tomasz.zielinski\\Downloads",
                           "PagePress-Setup.exe /S", INSTALLER_SHA256)  # fmt: skip
    native.report(
        log, at + 2 * MINUTE, desk, "Unsigned installer started from the download folder",
        "A program seen on no other machine was started by the user and asks for administrative rights.",
        "Medium", "Execution", "T1204.002", setup, native.user(who), native.url(_DOWNLOAD),
        native.file("PagePress-Setup.exe", "C:\\Users\\tomasz.zielinski\\Downloads", INSTALLER_SHA256),
    )  # fmt: skip
    wazuh.sysmon_process(log, at + 3 * MINUTE, desk, "sysmon_rundll", who, "C:\\Windows\\System32\\rundll32.exe",
                         f"rundll32.exe {_TEMP}\\ppsync.dll,Start",
                         "C:\\Users\\tomasz.zielinski\\Downloads\\PagePress-Setup.exe",
                         file_hash("rundll32"))  # fmt: skip
    wazuh.windows(log, at + 3 * MINUTE + 20 * SECOND, desk, "win_task", 4698,
                  {"subjectUserName": who.account, "taskName": "\\PagePress\\SyncHelper"},
                  "A scheduled task was created.")  # fmt: skip
    native.report(
        log, at + 4 * MINUTE, desk, "Library in a temporary folder contacts a control server",
        "rundll32 keeps a connection to a host that was registered last week; its traffic is regular to the second.",
        "High", "CommandAndControl", "T1071.001", native.address(_CONTROL), native.url(_POLL), native.user(who),
        native.file("ppsync.dll", _TEMP, _BEACON), native.address(desk.address),
        native.process(7412, at + 3 * MINUTE, "rundll32.exe", "C:\\Windows\\System32",
                       f"rundll32.exe {_TEMP}\\ppsync.dll,Start", parent=(7340, at + 2 * MINUTE)),
        family="Lampreel",
    )  # fmt: skip
    suricata.replay(log, "control-tls", at + 5 * MINUTE, moved, stretch=60)
    suricata.replay(log, "control-poll", at + 6 * MINUTE, moved, stretch=200, most=2)


def _calls_home(log: Logbook, at: int, who: Person) -> None:
    moved = {"10.20.10.41": who.desk.address}
    suricata.replay(log, "control-poll", at + log.seconds(0, 500), moved, stretch=300, first=log.between(0, 4), most=2)


def _secrets_read(log: Logbook, at: int, who: Person) -> None:
    desk = who.desk
    tool = "C:\\Users\\Public\\ppdiag.exe"
    guid = log.guid()
    number, started = 9024, at
    diag = native.process(number, started, "ppdiag.exe", "C:\\Users\\Public", "ppdiag.exe -m full -p 812",
                          file_hash("ppdiag.exe"), parent=(7412, log.before(hours=23, minutes=37)))  # fmt: skip
    native.report(
        log, at - 2 * MINUTE, desk, "Remote commands through a library in a temporary folder",
        "The library that calls its control server every minute started a command interpreter.",
        "High", "Execution", "T1059.003", native.url(_POLL), native.address(_CONTROL), native.user(who),
        native.file("ppsync.dll", _TEMP, _BEACON),
        native.process(8990, at - 2 * MINUTE, "cmd.exe", "C:\\Windows\\System32", "cmd.exe /c whoami /all"),
    )  # fmt: skip
    wazuh.sysmon_process(log, at - 90 * SECOND, desk, "sysmon_discovery", who, "C:\\Windows\\System32\\net.exe",
                         "net group \"Domain Admins\" /domain", "C:\\Windows\\System32\\cmd.exe",
                         file_hash("net.exe"))  # fmt: skip
    wazuh.sysmon_access(log, at + 4 * SECOND, desk, "sysmon_lsass", tool, guid, who.account)
    native.report(
        log, at + 8 * SECOND, desk, "Memory of the logon service dumped to a file",
        "A program in the public folder read the whole memory of LSASS and wrote it to disk.",
        "High", "CredentialAccess", "T1003.001", diag, native.user(who),
        native.file("ppdiag.exe", "C:\\Users\\Public", file_hash("ppdiag.exe")), family="Lampreel",
    )  # fmt: skip
    wazuh.sysmon_process(log, at + 3 * MINUTE, desk, "sysmon_encoded", who,
                         "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
                         "powershell -nop -w hidden -enc SQBFAFgA", tool, file_hash("powershell"),
                         parent_guid=guid)  # fmt: skip
    suricata.replay(log, "name-tunnel", at + 5 * MINUTE, {"10.20.10.41": desk.address}, stretch=60)
    native.report(
        log, at + 34 * MINUTE, desk, "Ticket of an administrator used from a workstation",
        "A logon ticket of a domain administrator is present in a session of an ordinary user.",
        "High", "LateralMovement", "T1550.003", diag, native.account("adm.falk"), native.user(who),
        native.address(desk.address),
    )  # fmt: skip


def _domain_taken(log: Logbook, at: int, who: Person) -> None:
    controller, desk = SERVERS["nv-dc-01"], who.desk
    suricata.replay(log, "replication-request", at + 26 * SECOND, {"10.20.10.41": desk.address})
    fields: wazuh.Thing = {
        "subjectUserName": "adm.falk", "objectServer": "DS", "accessMask": "0x100", "ipAddress": desk.address,
        "properties": "Replicating Directory Changes All",
    }  # fmt: skip
    wazuh.windows(
        log, at + 6 * SECOND, controller, "win_dcsync", 4662, fields, "An operation was performed on an object."
    )
    native.report(
        log, at + 20 * SECOND, [controller, desk], "Secrets of the directory copied by a workstation",
        f"{desk.name} asked {controller.name} to replicate the secrets of all accounts, as only its partners may.",
        "High", "CredentialAccess", "T1003.006", native.account("adm.falk"), native.address(desk.address),
        native.address(controller.address),
        native.process(9024, log.before(hours=5, minutes=31), "ppdiag.exe", "C:\\Users\\Public", "ppdiag.exe -r all",
                       file_hash("ppdiag.exe")),
    )  # fmt: skip
    wazuh.windows(log, at + 7 * MINUTE, controller, "win_user_added", 4720,
                  {"subjectUserName": "adm.falk", "targetUserName": "svc_ppsync"},
                  "A user account was created.")  # fmt: skip
    wazuh.windows(log, at + 8 * MINUTE, controller, "win_admins", 4728,
                  {"subjectUserName": "adm.falk", "memberName": "svc_ppsync", "targetUserName": "Domain Admins"},
                  "A member was added to a security-enabled global group.")  # fmt: skip
    sentinel.report(
        log, at + 12 * MINUTE, "rule", "New member of Domain Admins outside of a change window",
        "svc_ppsync, an account eight minutes old, became a member of Domain Admins.",
        "High", "PrivilegeEscalation", "T1098", sentinel.host(controller),
        {"Name": "svc_ppsync", "NTDomain": "NORRVIK", "IsDomainJoined": True, "Type": "account"},
        {"Name": "adm.falk", "NTDomain": "NORRVIK", "IsDomainJoined": True, "Type": "account"},
    )  # fmt: skip
    native.report(
        log, at + 26 * MINUTE, desk, "Remote commands through a library in a temporary folder",
        "The same library opened a second channel to its control server.",
        "High", "CommandAndControl", "T1071.001", native.url(_POLL), native.address(_CONTROL),
        native.file("ppsync.dll", _TEMP, _BEACON), native.user(who),
        native.process(9024, log.before(hours=5, minutes=31), "ppdiag.exe", "C:\\Users\\Public", "ppdiag.exe -c",
                       file_hash("ppdiag.exe")),
    )  # fmt: skip


def _shares_visited(log: Logbook, at: int, who: Person) -> None:
    files, second, desk = SERVERS["nv-fs-01"], SERVERS["nv-erp-01"], who.desk
    suricata.replay(log, "control-poll", at - 4 * MINUTE, {"10.20.10.41": desk.address}, stretch=100, most=2)
    suricata.replay(log, "admin-share", at, {"10.20.10.41": desk.address, "10.20.0.31": files.address})
    suricata.replay(log, "remote-shell", at + 30 * SECOND, {"10.20.10.41": desk.address, "10.20.0.31": files.address})
    for number, server in enumerate((files, second)):
        when = at + (1 + 9 * number) * MINUTE
        wazuh.windows(log, when, server, "win_ntlm", 4624,
                      {"targetUserName": "svc_ppsync", "ipAddress": desk.address, "logonType": "3"},
                      "An account was successfully logged on.")  # fmt: skip
        wazuh.windows(log, when + 40 * SECOND, server, "win_service", 7045,
                      {"serviceName": "PPSyncSvc", "imagePath": "C:\\ProgramData\\pp\\ppsvc.exe"},
                      "A service was installed in the system.", channel="System")  # fmt: skip
        native.report(
            log, when + 65 * SECOND, server, "Known bad library run as a service",
            f"A service on {server.name} loads the library that was first seen on {desk.name}.",
            "High", "LateralMovement", "T1021.002 T1569.002",
            native.file("ppsync.dll", "C:\\ProgramData\\pp", _BEACON), native.account("svc_ppsync"),
            native.address(desk.address), native.url(_POLL), native.address(_CONTROL), family="Lampreel",
        )  # fmt: skip


def _encryption_prepared(log: Logbook, at: int) -> None:
    files, erp, controller = SERVERS["nv-fs-01"], SERVERS["nv-erp-01"], SERVERS["nv-dc-01"]
    locker = native.file("nvlock.exe", "C:\\ProgramData\\pp", file_hash("nvlock.exe"))
    sync = native.file("ppsync.dll", "C:\\ProgramData\\pp", _BEACON)
    for number, server in enumerate((files, erp)):
        when = at + number * 14 * MINUTE
        native.report(
            log, when, server, "Ransomware program put on a server",
            "A program that matches a family of file lockers was written by a service of the same intrusion.",
            "High", "Ransomware", "T1486", locker, sync, native.account("svc_ppsync"), native.url(_POLL),
            family="Halocryp", category="Ransomware",
        )  # fmt: skip
        wazuh.sysmon_process(log, when + 90 * SECOND, server, "sysmon_shadow", "svc_ppsync",
                             "C:\\Windows\\System32\\vssadmin.exe", "vssadmin delete shadows /all /quiet",
                             "C:\\ProgramData\\pp\\ppsvc.exe", file_hash("vssadmin"))  # fmt: skip
        native.report(
            log, when + 2 * MINUTE, server, "Backup and database services stopped in one go",
            "Fourteen services that keep files open were stopped within seconds, as lockers do before they begin.",
            "High", "Impact", "T1489", native.account("svc_ppsync"), locker,
            native.process(4410, when + 110 * SECOND, "ppsvc.exe", "C:\\ProgramData\\pp", "ppsvc.exe -stop all"),
        )  # fmt: skip
    native.report(
        log, log.before(minutes=41), controller, "Group policy that starts a program on all machines",
        "A new policy object would run nvlock.exe from the domain share on every machine at the next refresh.",
        "High", "Ransomware", "T1484.001", locker, native.account("svc_ppsync"), category="Ransomware",
    )  # fmt: skip
    wazuh.windows(log, log.before(minutes=33), controller, "win_log_cleared", 1102,
                  {"subjectUserName": "svc_ppsync"}, "The audit log was cleared.")  # fmt: skip
    native.report(
        log, log.before(minutes=18), files, "Ransomware program blocked before it could start",
        "nvlock.exe was stopped by a rule of the endpoint sensor; no file was changed.",
        "High", "Ransomware", "T1486", locker, sync, native.account("svc_ppsync"), family="Halocryp",
        category="Ransomware",
    )  # fmt: skip
    moved = {"10.20.10.41": person("tomasz.zielinski").desk.address}
    suricata.replay(log, "control-poll", log.before(minutes=9), moved, stretch=200, most=3)


_WORM: Final = file_hash("duskmoth.dll")


def usb_worm(log: Logbook) -> None:
    """A memory stick goes round the production hall, and a worm with it."""
    log.story = "usb-worm"
    at = log.workday(6, 7, 5)
    line = [one for one in PEOPLE if one.department == "Production" and one.workstation][:4]
    for number, one in enumerate(line):
        _stick_inserted(log, at + number * 38 * MINUTE, one, number)
    _worm_spreads(log, at + 20 * MINUTE, line[0])
    historian = SERVERS["nv-hist-01"]
    when = at + 2 * HOUR + 20 * MINUTE
    native.report(
        log, when, historian, "Worm found on the plant historian",
        "The library of the Duskmoth worm was written over the network and removed before it ran.",
        "High", "Malware", "T1080", native.file("thumbs.dll", "C:\\Users\\Public", _WORM),
        native.url("cfg.duskmoth.example"), family="Duskmoth", category="Malware",
    )  # fmt: skip
    wazuh.syscheck(log, when + 30 * SECOND, historian, "file_changed", "C:\\Users\\Public\\thumbs.dll", _WORM)


def _stick_inserted(log: Logbook, at: int, who: Person, number: int) -> None:
    desk: Host = who.desk
    wazuh.windows(log, at, desk, "win_usb", 6416,
                  {"subjectUserName": who.account, "deviceDescription": "USB mass storage, serial 4C530001"},
                  "A new external device was recognized by the system.")  # fmt: skip
    native.report(
        log, at + 20 * SECOND, desk, "Shortcut on a memory stick starts a hidden library",
        f"{who.name} opened what looked like a folder; rundll32 loaded thumbs.dll from the stick.",
        "Medium", "Execution", "T1091 T1218.011", native.user(who), native.file("thumbs.dll", "E:\\", _WORM),
        native.process(3300 + number, at + 20 * SECOND, "rundll32.exe", "C:\\Windows\\System32",
                       "rundll32.exe E:\\thumbs.dll,Open"),
        family="Duskmoth",
    )  # fmt: skip
    wazuh.sysmon_process(log, at + 24 * SECOND, desk, "sysmon_removable", who, "E:\\thumbs.exe", "E:\\thumbs.exe /q",
                         "C:\\Windows\\explorer.exe", _WORM)  # fmt: skip
    if number != 2:
        wazuh.windows(log, at + 50 * SECOND, desk, "sysmon_run_key", 13,
                      {"targetObject": "HKU\\S-1-5-21\\Software\\Microsoft\\Windows\\CurrentVersion\\Run\\Thumbs",
                       "image": "E:\\thumbs.exe", "user": f"NORRVIK\\{who.account}"},
                      "Registry value set", channel="Microsoft-Windows-Sysmon/Operational")  # fmt: skip
    moved = {"10.20.13.52": desk.address}
    suricata.replay(log, "worm-names", at + 2 * MINUTE, moved, stretch=1000)
    native.report(
        log, at + 3 * MINUTE, desk, "Worm looks up its control names",
        "A library that came from removable storage asks for names of the Duskmoth family.",
        "High" if number == 0 else "Medium", "CommandAndControl", "T1568.002", native.file("thumbs.dll", "E:\\", _WORM),
        native.url("cfg.duskmoth.example"), native.address(desk.address), family="Duskmoth",
    )  # fmt: skip


def _worm_spreads(log: Logbook, at: int, who: Person) -> None:
    moved = {"10.20.13.52": who.desk.address}
    native.report(
        log, at - MINUTE, who.desk, "Program from removable storage opens many network shares",
        "The worm tries its luck with the shares of neighbouring machines.",
        "High", "LateralMovement", "T1021.002", native.file("thumbs.dll", "C:\\Users\\Public", _WORM),
        native.address(who.desk.address), native.user(who), family="Duskmoth",
    )  # fmt: skip
    suricata.replay(log, "share-spread", at, moved)


STORIES: Final = {
    "fake-installer": (
        "A false PDF editor calls home for a day, then reads the logon service, copies the directory's secrets and "
        "prepares to encrypt the file servers; it is still going on.",
        ("suricata", "sentinel", "native", "wazuh"),
        fake_installer,
    ),
    "usb-worm": (
        "A memory stick carries a worm from desk to desk through the production hall until the historian's guard "
        "removes it.",
        ("wazuh", "native", "suricata"),
        usb_worm,
    ),
}
