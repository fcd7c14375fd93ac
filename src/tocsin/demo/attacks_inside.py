"""People of the organisation itself: one who leaves with the drawings, and the testers of an agreed exercise."""

from __future__ import annotations

from typing import Final

from tocsin.demo.logbook import Logbook, file_hash
from tocsin.demo.organisation import SERVERS, Person, person
from tocsin.demo.sensors import native, sentinel, suricata, wazuh
from tocsin.ticks import HOUR, MINUTE, SECOND

_BOX: Final = "https://upload.bigbox.example/u/vl-private"
_ARCHIVE: Final = file_hash("holiday-photos.7z")


def departing_engineer(log: Logbook) -> None:
    """A resignation, a bulk download, a renamed archive, a stick, and an upload."""
    log.story = "departing-engineer"
    viktor = person("viktor.lindqvist")
    at = log.workday(4, 15, 20)
    _library_fetched(log, at, viktor)
    _archive_made(log, at + 52 * MINUTE, viktor)
    _carried_out(log, at + 96 * MINUTE, viktor)
    _last_look(log, at + 3 * HOUR, viktor)


def _library_fetched(log: Logbook, at: int, who: Person) -> None:
    entity, desk = sentinel.account(who), sentinel.host(who.desk)
    rows = (
        (0, "cloud", "Mass download by one user", "Medium", "Collection", "T1213.002",
         "2,811 files of the transducer library were fetched in 25 minutes; the usual day is 60."),
        (9, "data", "Documents labelled Secret copied to a workstation", "Medium", "Collection", "T1213.002",
         "412 documents with the label Secret left the library for a synchronised folder."),
        (17, "cloud", "Download activity of a user who gave notice", "High", "Exfiltration", "T1567.002",
         "The account is on the leavers' list; its last working day is in nine days."),
        (31, "data", "Drawing files opened by somebody outside the project", "Low", "Discovery", "T1083",
         "Forty drawings of project Lodestar were opened by an account that is not a member."),
    )  # fmt: skip
    for minutes, product, name, severity, tactic, technique, text in rows:
        sentinel.report(log, at + minutes * MINUTE, product, name, text, severity, tactic, technique, entity, desk)
    native.report(
        log, at + 41 * MINUTE, who.desk, "Large synchronised folder moved out of its place",
        "11 GB were moved from the synchronised library to a local folder that is not backed up.",
        "Low", "Collection", "T1074.001", native.user(who),
    )  # fmt: skip


def _archive_made(log: Logbook, at: int, who: Person) -> None:
    desk = who.desk
    native.report(
        log, at, desk, "Password-protected archive made of documents labelled Secret",
        "7-Zip packed 412 labelled documents into one archive with a password and an innocent name.",
        "Medium", "Collection", "T1560.001", native.user(who),
        native.file("holiday-photos.7z", "C:\\Users\\viktor.lindqvist\\Pictures", _ARCHIVE),
        native.process(6188, at, "7z.exe", "C:\\Program Files\\7-Zip", "7z a -p -mhe holiday-photos.7z Lodestar"),
    )  # fmt: skip
    native.report(
        log, at + 6 * MINUTE, desk, "Labels removed from many documents",
        "The label Secret was taken off 412 documents by a script.",
        "Medium", "DefenseEvasion", "T1565.001", native.user(who),
        native.process(6188, at, "7z.exe", "C:\\Program Files\\7-Zip", "7z u -p holiday-photos.7z"),
    )  # fmt: skip


def _carried_out(log: Logbook, at: int, who: Person) -> None:
    desk = who.desk
    wazuh.windows(log, at - 35 * MINUTE, desk, "win_usb", 6416,
                  {"subjectUserName": who.account, "deviceDescription": "USB mass storage, serial 07A1B3"},
                  "A new external device was recognized by the system.")  # fmt: skip
    native.report(
        log, at - 33 * MINUTE, desk, "Archive copied to removable storage",
        "A password-protected archive of 3.4 GB was written to a memory stick that was never used here before.",
        "High", "Exfiltration", "T1052.001", native.user(who), native.file("holiday-photos.7z", "F:\\", _ARCHIVE),
    )  # fmt: skip
    moved = {"10.20.10.41": desk.address}
    suricata.replay(log, "personal-upload", at - 20 * MINUTE, moved, stretch=8000)
    native.report(
        log, at - 19 * MINUTE, desk, "Browser uploads an archive to a personal file service",
        "The archive that was copied to a stick is also being uploaded to a private account.",
        "High", "Exfiltration", "T1567.002", native.user(who), native.url(_BOX), native.address("203.0.113.66"),
        native.file("holiday-photos.7z", "C:\\Users\\viktor.lindqvist\\Pictures", _ARCHIVE),
        native.address(desk.address),
    )  # fmt: skip
    sentinel.report(
        log, at - 16 * MINUTE, "data", "Upload of labelled content to a personal cloud account",
        "Content that matches project Lodestar went to a file service that the company does not use.",
        "High", "Exfiltration", "T1567.002", sentinel.account(who), sentinel.url(_BOX), sentinel.host(desk),
        sentinel.file("holiday-photos.7z", "C:\\Users\\viktor.lindqvist\\Pictures", _ARCHIVE),
    )  # fmt: skip


def _last_look(log: Logbook, at: int, who: Person) -> None:
    sentinel.report(
        log, at, "cloud", "Personal file service used again from the office",
        "A second batch of 140 files went to the same private account.",
        "Medium", "Exfiltration", "T1567.002", sentinel.account(who), sentinel.url(_BOX), sentinel.host(who.desk),
    )  # fmt: skip
    moved = {"10.20.10.41": who.desk.address}
    suricata.replay(log, "personal-upload", at + 2 * MINUTE, moved, stretch=4000, most=2)
    native.report(
        log, at + 4 * MINUTE, who.desk, "Browser history and recent files wiped",
        "A cleaning tool removed the browser history, recent documents and the traces of removable storage.",
        "Medium", "DefenseEvasion", "T1070.004", native.user(who), native.url(_BOX),
        native.address(who.desk.address),
    )  # fmt: skip


_TESTER: Final = "morten.lie"
_HOUND: Final = file_hash("netmap.exe")


def red_team(log: Logbook) -> None:
    """An agreed exercise: directory search, service tickets, a certificate, a remote shell, a test flag."""
    log.story = "red-team"
    tester = person(_TESTER)
    at = log.workday(3, 10, 2)
    _directory_mapped(log, at, tester)
    _tickets_asked(log, at + 21 * MINUTE, tester)
    _certificate_taken(log, at + 47 * MINUTE, tester)
    _shell_opened(log, at + 70 * MINUTE, tester)


def _mapper(at: int) -> native.Thing:
    return native.process(11208, at, "netmap.exe", "C:\\Tools\\exercise", "netmap.exe --all --exercise HARBOUR", _HOUND)


def _directory_mapped(log: Logbook, at: int, tester: Person) -> None:
    desk, controller = tester.desk, SERVERS["nv-dc-02"]
    native.report(
        log, at, desk, "Tool that maps a directory started",
        "A known mapping tool for directories runs from C:\\Tools\\exercise.",
        "High", "Discovery", "T1087.002 T1482", _mapper(at), native.user(tester),
        native.file("netmap.exe", "C:\\Tools\\exercise", _HOUND), family="NetMap",
    )  # fmt: skip
    moved = {"10.20.10.41": desk.address, "10.20.0.10": controller.address}
    suricata.replay(log, "directory-search", at + 2 * MINUTE, moved)
    native.report(
        log, at + 3 * MINUTE, desk, "Thousands of directory queries from one workstation",
        "All users, groups, machines and rights of the directory were asked for in three minutes.",
        "Medium", "Discovery", "T1018", _mapper(at), native.user(tester), native.address(desk.address),
        native.address(controller.address),
    )  # fmt: skip
    wazuh.sysmon_process(log, at + 5 * MINUTE, desk, "sysmon_discovery", tester, "C:\\Tools\\exercise\\netmap.exe",
                         "netmap.exe --all --exercise HARBOUR", "C:\\Windows\\System32\\cmd.exe", _HOUND)  # fmt: skip


def _tickets_asked(log: Logbook, at: int, tester: Person) -> None:
    controller, desk = SERVERS["nv-dc-02"], tester.desk
    for number, service in enumerate(("svc_sql", "svc_backup", "svc_print", "svc_erp")):
        wazuh.windows(log, at + number * SECOND * 9, controller, "win_kerberoast", 4769,
                      {"targetUserName": tester.account, "serviceName": service, "ipAddress": desk.address,
                       "ticketEncryptionType": "0x17"}, "A Kerberos service ticket was requested.")  # fmt: skip
    native.report(
        log, at + 40 * SECOND, [desk, controller], "Service tickets collected for cracking",
        "One account asked for weakly encrypted tickets of every service account.",
        "High", "CredentialAccess", "T1558.003", _mapper(at - 21 * MINUTE), native.user(tester),
        native.address(desk.address),
    )  # fmt: skip
    wazuh.windows(log, at + 4 * MINUTE, controller, "win_asrep", 4768,
                  {"targetUserName": tester.account, "ipAddress": desk.address, "preAuthType": "0"},
                  "A Kerberos authentication ticket was requested.")  # fmt: skip


def _certificate_taken(log: Logbook, at: int, tester: Person) -> None:
    authority, desk = SERVERS["nv-pki-01"], tester.desk
    suricata.replay(log, "certificate-request", at, {"10.20.10.41": desk.address})
    wazuh.windows(log, at + 8 * SECOND, authority, "win_cert", 4887,
                  {"subjectUserName": tester.account, "ipAddress": desk.address, "attributes": "san:upn=adm.falk"},
                  "Certificate Services approved a certificate request.")  # fmt: skip
    native.report(
        log, at + 30 * SECOND, [authority, desk], "Certificate template misused to become another user",
        "The request named an administrator as its subject, and the template let it.",
        "High", "PrivilegeEscalation", "T1649", _mapper(at - 47 * MINUTE), native.user(tester),
        native.address(desk.address), native.address(authority.address),
    )  # fmt: skip
    sentinel.report(
        log, at + 6 * MINUTE, "rule", "Certificate names somebody other than its requester",
        "The exercise calendar lists HARBOUR for this week; confirm with the red team lead before acting.",
        "Medium", "CredentialAccess", "T1649", sentinel.account(tester), sentinel.host(authority),
    )  # fmt: skip


def _shell_opened(log: Logbook, at: int, tester: Person) -> None:
    files, desk = SERVERS["nv-print-01"], tester.desk
    moved = {"10.20.10.41": desk.address, "10.20.0.31": files.address}
    suricata.replay(log, "remote-shell", at + 5 * MINUTE, moved)
    wazuh.windows(log, at + 10 * SECOND, files, "win_rdp", 4624,
                  {"targetUserName": tester.account, "ipAddress": desk.address, "logonType": "10"},
                  "An account was successfully logged on.")  # fmt: skip
    flag = native.file("HARBOUR-flag.txt", "C:\\Windows\\Temp", file_hash("harbour-flag"))
    native.report(
        log, at + 4 * MINUTE, [files, desk], "Remote management shell used with a forged identity",
        "A remote shell was opened by a certificate logon that began on a tester's machine.",
        "High", "LateralMovement", "T1021.006", _mapper(at - 70 * MINUTE), native.user(tester), flag,
        native.address(desk.address),
    )  # fmt: skip
    wazuh.windows(log, at + 9 * MINUTE, files, "win_task", 4698,
                  {"subjectUserName": tester.account, "taskName": "\\HARBOUR\\proof"},
                  "A scheduled task was created.")  # fmt: skip
    native.report(
        log, at + 12 * MINUTE, files, "File that marks the end of an exercise written",
        "HARBOUR-flag.txt was put on the server: the red team reached its goal.",
        "Informational", "Execution", "T1053.005", flag, native.user(tester),
    )  # fmt: skip


STORIES: Final = {
    "departing-engineer": (
        "An engineer who gave notice downloads the drawings of a secret project, packs them under a false name and "
        "takes them out by memory stick and upload.",
        ("sentinel", "native", "wazuh", "suricata"),
        departing_engineer,
    ),
    "red-team": (
        "Exercise HARBOUR: the red team maps the directory, collects service tickets, misuses a certificate template "
        "and leaves its flag on a server.",
        ("native", "suricata", "wazuh", "sentinel"),
        red_team,
    ),
}
