"""Everyday noise of machines: forgotten passwords, updates, unwanted programs, careless scripts.

One function is one episode.
"""

from __future__ import annotations

from typing import Final

from tocsin.demo.logbook import Logbook, file_hash
from tocsin.demo.organisation import BYSTANDERS, SERVERS, Host, Person
from tocsin.demo.sensors import native, wazuh
from tocsin.ticks import MINUTE, SECOND

_ADMINS: Final = tuple(one for one in BYSTANDERS if one.department == "IT")
_LINUX: Final = ("nv-web-01", "nv-mx-01", "nv-db-01", "nv-build-01")
_WINDOWS: Final = ("nv-erp-01", "nv-fs-02", "nv-print-01", "nv-hist-01", "nv-pki-01")


def forgotten_password(log: Logbook, at: int, who: Person) -> None:
    """Monday morning."""
    controller = SERVERS[log.chance.choice(("nv-dc-01", "nv-dc-02"))]
    tries = log.between(3, 6)
    for number in range(tries):
        wazuh.logon_failed(log, at + number * 11 * SECOND, controller, "win_failed", who.account, who.desk.address,
                           who.desk.name.upper())  # fmt: skip
    if tries > 4:
        wazuh.windows(log, at + tries * 11 * SECOND, controller, "win_locked", 4740,
                      {"targetUserName": who.account, "ipAddress": who.desk.address},
                      "A user account was locked out.", user=who.account)  # fmt: skip


def stale_service(log: Logbook, at: int, _: Person) -> None:
    """A job that still has the old password."""
    server = SERVERS[log.chance.choice(_WINDOWS)]
    name = log.chance.choice(("svc_report", "svc_labels", "svc_archive", "svc_mes", "svc_timeclock"))
    for number in range(log.between(3, 7)):
        wazuh.logon_failed(log, at + number * 60 * SECOND, server, "win_failed", name, server.address)


def upgrades(log: Logbook, at: int, _: Person) -> None:
    """Package upgrades change watched files."""
    server = SERVERS[log.chance.choice(_LINUX)]
    wazuh.report(log, at, server, "packages", "dpkg: status installed libssl3:amd64", program="dpkg", decoder="dpkg")
    names = ("/usr/bin/openssl", "/usr/sbin/sshd", "/etc/ssl/openssl.cnf", "/usr/bin/sudo", "/etc/nginx/mime.types")
    for number, path in enumerate(names[: log.between(2, 5)]):
        wazuh.syscheck(log, at + (30 + number * 12) * SECOND, server, "file_changed", path, log.fresh(64))


def configuration_change(log: Logbook, at: int, _: Person) -> None:
    """An administrator edits something."""
    who = log.chance.choice(_ADMINS)
    server = SERVERS[log.chance.choice(_LINUX)]
    wazuh.report(log, at, server, "sudo_root", f"sudo: {who.account} : USER=root ; COMMAND=/usr/bin/vi /etc/hosts",
                 {"srcuser": who.account, "dstuser": "root"}, program="sudo", decoder="sudo",
                 user=who.account)  # fmt: skip
    path = log.chance.choice(("/etc/hosts", "/etc/crontab", "/etc/ssh/sshd_config", "/etc/sudoers.d/ops"))
    wazuh.syscheck(log, at + 90 * SECOND, server, "file_changed", path, log.fresh(64))


def plain_trouble(log: Logbook, at: int, _: Person) -> None:
    """Operations, not security."""
    server = SERVERS[log.chance.choice(_LINUX)]
    key, line = log.chance.choice((
        ("service_stopped", "systemd: unit label-export.service entered failed state"),
        ("disk_full", "df: /var/log 96%"),
        ("agent_gone", "agent disconnected"),
        ("clock_jump", "time has been changed by 84 seconds"),
        ("sca_low", "sca: benchmark score 57"),
        ("vulnerable", "package libwebkit 2.40.1 has a known weakness, high"),
    ))  # fmt: skip
    for number in range(log.between(1, 3)):
        wazuh.report(log, at + number * 100 * SECOND, server, key, line, program="ossec", decoder="ossec")


def sudo_slip(log: Logbook, at: int, _: Person) -> None:
    """Wrong passwords of an administrator."""
    who = log.chance.choice(_ADMINS)
    server = SERVERS[log.chance.choice(_LINUX)]
    data: wazuh.Thing = {"srcuser": who.account, "srcip": who.desk.address}
    for number in range(2):
        wazuh.report(log, at + number * 8 * SECOND, server, "pam_failed",
                     f"pam_unix(sudo:auth): authentication failure; user={who.account}", data, program="sudo",
                     decoder="pam")  # fmt: skip
    wazuh.report(log, at + 20 * SECOND, server, "sudo_failed", f"sudo: {who.account} : 3 incorrect password attempts",
                 data, program="sudo", decoder="sudo", user=who.account)  # fmt: skip


def memory_stick(log: Logbook, at: int, who: Person) -> None:
    """An ordinary memory stick."""
    fields: wazuh.Thing = {"subjectUserName": who.account, "deviceDescription": f"USB storage {log.fresh(8)}"}
    wazuh.windows(log, at, who.desk, "win_usb", 6416, fields, "A new external device was recognized by the system.")
    if log.between(0, 1):
        native.report(
            log, at + 30 * SECOND, who.desk, "Automatic start from removable storage prevented",
            "A memory stick asked to start a program when it was inserted. Policy does not allow that.",
            "Informational", "Execution", "T1091", native.user(who),
        )  # fmt: skip


def admin_script(log: Logbook, at: int, _: Person) -> None:
    """An inventory script that looks like an attack."""
    who = log.chance.choice(_ADMINS)
    desk: Host = who.desk
    guid = log.guid()
    for number in range(log.between(1, 3)):
        wazuh.sysmon_process(log, at + number * 25 * SECOND, desk, "sysmon_encoded", who,
                             "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
                             "powershell -NonInteractive -EncodedCommand RwBlAHQALQBJAG4AdgA=",
                             "C:\\Program Files\\Inventory\\agent.exe", file_hash("powershell"),
                             parent_guid=guid)  # fmt: skip
    native.report(
        log, at + 50 * SECOND, desk, "PowerShell with an encoded command by a management agent",
        "The command is the weekly inventory of installed programs, encoded by its maker.",
        "Low", "Execution", "T1059.001", native.user(who),
    )  # fmt: skip


# title | what it was | severity | category word | technique | file | family
_FINDS: Final = """
Key generator removed|A program that makes licence keys came in an archive and was put into quarantine.|Low|DefenseEvasion|T1204.002|keygen_cad.exe|KeyMake
Macro in a document from the internet blocked|The document wants to run a macro. It came by mail from an unknown sender.|Medium|Execution|T1204.002|Preisliste_2.docm|MacroDrop
Antivirus test file found|Somebody tried whether the guard is awake. It is.|Informational|Execution|T1204|guardtest.exe|TestFile
Browser extension with wide rights installed|The extension may read and change all pages and was installed outside of the store.|Low|Persistence|T1176|quicksearch.crx|
Driver with a known weakness loaded|A driver of an overclocking tool can be misused to read all memory.|Medium|PrivilegeEscalation|T1068|ocdrv64.sys|
Script file in a mail archive blocked|A JavaScript file inside a zip archive was stopped before it ran.|Medium|InitialAccess|T1566.001|Frachtbrief.js|ScriptLoad
Game with a cheating tool removed|A tool that changes the memory of other programs was removed.|Low|DefenseEvasion|T1055|trainer.exe|MemTool
Torrent client installed|A file sharing program that policy forbids was installed for one user.|Low|CommandAndControl|T1071|sharewave.exe|ShareWave
Program of unknown reputation started|The file was seen on fewer than five machines in the world and has no signature.|Low|Execution|T1204.002|LabelMaker.exe|
Phishing page blocked in the browser|The page imitates a parcel service and was blocked before it was shown.|Low|InitialAccess|T1566.002|parcel.htm|
Suspicious scheduled task of a backup program|A task with a random name starts at night. It belongs to a trial of a backup program.|Low|Persistence|T1053.005|bk_7f3a.exe|
Passwords stored in a text file|A file in the user's documents holds what look like passwords of a supplier portal.|Informational|CredentialAccess|T1552.001|logins.txt|
Trojan removed from the download folder|A false driver update was put into quarantine before it was opened.|Medium|Execution|T1204.002|GfxUpdate.exe|Driplet
Guard switched off for some minutes|Real-time protection was switched off by a local administrator and came back after a restart.|Medium|DefenseEvasion|T1562.001|settings.dat|
Information stealer stopped|A program that reads stored passwords of browsers was stopped while it unpacked itself.|High|CredentialAccess|T1555.003|crack_setup.exe|Magpie
Memory of another program changed|A diagnostic tool of the test bench writes into the memory of its own child process.|Low|DefenseEvasion|T1055|benchdiag.exe|
Firewall rule opens a port to everyone|A licence server opened port 27000 to all networks when it was installed.|Low|DefenseEvasion|T1562.004|lmsetup.exe|
"""  # noqa: E501
_KINDS: Final = tuple(tuple(line.split("|")) for line in _FINDS.split("\n")[1:-1])


def endpoint_find(log: Logbook, at: int, who: Person) -> None:
    """Something small on one desk, often reported more than once."""
    title, text, severity, tactic, technique, name, family = log.chance.choice(_KINDS)
    digest = file_hash(f"{name}{who.account}")
    folder = f"C:\\Users\\{who.account}\\Downloads"
    number, started = log.between(2000, 16000), at - log.seconds(1, 60)
    for _n in range(log.between(1, 3)):
        native.report(
            log, at, who.desk, title, text, severity, tactic, technique, native.user(who),
            native.file(name, folder, digest),
            native.process(number, started, "explorer.exe", "C:\\Windows", "C:\\Windows\\explorer.exe"),
            family=family or None, category="Malware" if family and severity in ("Medium", "High") else "",
            count=log.between(1, 4),
        )  # fmt: skip
        at += log.seconds(20, 240)
    if family and log.between(0, 2) == 0:
        wazuh.sysmon_process(log, at, who.desk, "sysmon_drop", who, f"{folder}\\{name}", name,
                             "C:\\Windows\\explorer.exe", digest)  # fmt: skip


def infected_attachment(log: Logbook, at: int, _: Person) -> None:
    """The mail server's scanner does its work."""
    server = SERVERS["nv-mx-01"]
    sender = f"198.51.100.{log.between(150, 254)}"
    for number in range(log.between(1, 3)):
        wazuh.report(log, at + number * 40 * SECOND, server, "clam", "clamd: /var/spool/in/p001: Doc.Dropper FOUND",
                     {"srcip": sender}, program="clamd", decoder="clamd")  # fmt: skip


def new_admin(log: Logbook, at: int, _: Person) -> None:
    """Planned work on accounts."""
    who = log.chance.choice(_ADMINS)
    server = SERVERS[log.chance.choice(_WINDOWS)]
    wazuh.windows(log, at, server, "win_user_added", 4720,
                  {"subjectUserName": who.account, "targetUserName": f"tmp_{log.fresh(4)}"},
                  "A user account was created.")  # fmt: skip
    wazuh.windows(log, at + 2 * MINUTE, server, "win_admins", 4732,
                  {"subjectUserName": who.account, "targetUserName": "Backup Operators"},
                  "A member was added to a security-enabled local group.")  # fmt: skip


def admin_session(log: Logbook, at: int, _: Person) -> None:
    """Remote administration as usual."""
    who = log.chance.choice(_ADMINS)
    server = SERVERS[log.chance.choice(_WINDOWS)]
    fields: wazuh.Thing = {"targetUserName": who.account, "ipAddress": who.desk.address, "logonType": "10"}
    wazuh.windows(log, at, server, "win_rdp", 4624, fields, "An account was successfully logged on.")
    key, event = log.chance.choice((("win_service", 7045), ("win_task", 4698), ("win_firewall", 2004)))
    wazuh.windows(log, at + 4 * MINUTE, server, key, event,
                  {"subjectUserName": who.account, "serviceName": "LabelExport", "taskName": "\\Ops\\LabelExport"},
                  "Configuration changed.")  # fmt: skip


EPISODES: Final = (
    (forgotten_password, 11, "office"), (stale_service, 6, "any"), (upgrades, 7, "any"),
    (configuration_change, 5, "office"), (plain_trouble, 8, "any"), (sudo_slip, 4, "office"),
    (memory_stick, 4, "office"), (admin_script, 5, "office"), (endpoint_find, 30, "office"),
    (infected_attachment, 3, "any"), (new_admin, 3, "office"), (admin_session, 4, "office"),
)  # fmt: skip
"""(episode, how many in two weeks, when it happens)."""
