"""The host sensor: documents of Wazuh's `alerts.json`. The rules are the organisation's own (ids from 100100 on)."""

# ruff: noqa: PLR0917 (who, where and what in their order read as one line of a log)

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from tocsin.demo.logbook import Logbook
from tocsin.demo.organisation import NETBIOS, Host, Person
from tocsin.ticks import SECOND, format_ticks

SENDER: Final = "wazuh"
MANAGER: Final = "nv-siem-01"
Thing = dict[str, object]


class Rule(msgspec.Struct, frozen=True):
    number: int
    level: int
    groups: tuple[str, ...]
    techniques: tuple[str, ...]
    tactics: tuple[str, ...]
    text: str


# key | level | groups | techniques | tactic | description
_RULES: Final = """
sshd_unknown|5|syslog,sshd,authentication_failed,invalid_login|T1110.001|Credential Access|SSH login tried for an account that does not exist
sshd_failed|5|syslog,sshd,authentication_failed|T1110.001|Credential Access|SSH login failed
sshd_brute|10|syslog,sshd,authentication_failures|T1110|Credential Access|SSH password guessing from one address
sshd_success|3|syslog,sshd,authentication_success|T1078,T1021.004|Lateral Movement|SSH login succeeded
sshd_after_brute|12|syslog,sshd,authentication_success,attack|T1110,T1078|Credential Access|SSH login succeeded right after password guessing from the same address
sshd_new_source|7|syslog,sshd,authentication_success|T1021.004|Lateral Movement|SSH login to {host} from an address never seen before
pam_failed|5|pam,syslog,authentication_failed|T1110.001|Credential Access|PAM refused a login on {host}
sudo_failed|7|syslog,sudo|T1548.003|Privilege Escalation|Three wrong sudo passwords in a row by {user}
sudo_root|4|syslog,sudo|T1548.003|Privilege Escalation|{user} became root with sudo
web_attack|7|web,accesslog,web_attack|T1190|Initial Access|Web request with an attack pattern
web_attack_200|12|web,accesslog,web_attack|T1190|Initial Access|Web request with an attack pattern was answered 200
web_errors|10|web,accesslog,web_scan|T1595.002|Reconnaissance|Many requests for pages that do not exist from one address
web_child|14|syslog,audit,attack|T1505.003,T1059.004|Persistence|Web server account started a shell on {host}
web_tool|12|syslog,audit,attack|T1105|Command and Control|Web server account ran a download or archive tool
file_added|7|syscheck,syscheck_file,syscheck_entry_added|T1505.003|Persistence|Script file appeared in a folder served by the web server
file_changed|7|ossec,syscheck,syscheck_file,syscheck_entry_modified|T1565.001|Impact|Checksum of a watched file changed
file_deleted|7|ossec,syscheck,syscheck_file,syscheck_entry_deleted|T1070.004|Defense Evasion|Watched file was deleted
cron_added|10|syscheck,syscheck_file,syscheck_entry_added|T1053.003|Persistence|New scheduled job file under /etc/cron.d
account_added|8|syslog,adduser|T1136.001|Persistence|Local account created on {host}
packages|3|syslog,dpkg|||Software packages were installed or upgraded on {host}
service_stopped|5|syslog,systemd|||Service stopped unexpectedly on {host}
disk_full|7|ossec,disk|||File system on {host} is more than 95 % full
agent_gone|4|wazuh,agent_disconnected|T1562.001|Defense Evasion|Log agent on {host} stopped reporting
clock_jump|5|syslog,time_changed|T1070.006|Defense Evasion|Clock of {host} was set by more than a minute
win_failed|5|windows,windows_security,authentication_failed|T1110|Credential Access|Windows logon failed: bad name or password
win_failed_many|10|windows,windows_security,authentication_failures|T1110.003|Credential Access|Many Windows logon failures for different accounts from one address
win_locked|9|windows,windows_security,authentication_failures|T1110|Credential Access|Account {user} was locked out
win_ntlm|9|windows,windows_security,authentication_success|T1550.002|Lateral Movement|Network logon with NTLM from a workstation that has not done so before
win_rdp|6|windows,windows_security,authentication_success|T1021.001|Lateral Movement|Remote Desktop logon to {host}
win_admins|12|windows,windows_security,group_changed|T1098|Persistence|Member added to a privileged group
win_user_added|8|windows,windows_security,adduser|T1136|Persistence|Windows account created
win_service|9|windows,windows_system,service|T1543.003|Persistence|New service installed on {host}
win_task|8|windows,windows_security,scheduled_task|T1053.005|Persistence|Scheduled task registered on {host}
win_log_cleared|13|windows,windows_security,logs_cleared|T1070.001|Defense Evasion|Security log of {host} was cleared
win_dcsync|14|windows,windows_security,attack|T1003.006|Credential Access|Directory replication rights used by an account that is no domain controller
win_kerberoast|12|windows,windows_security,attack|T1558.003|Credential Access|Service tickets with weak encryption requested for many services by one account
win_asrep|10|windows,windows_security,attack|T1558.004|Credential Access|Ticket requested without pre-authentication
win_cert|10|windows,windows_security,attack|T1649|Credential Access|Certificate issued for a name other than the requester's
win_usb|5|windows,windows_security,usb|T1091,T1052.001|Exfiltration|External storage device recognised on {host}
win_firewall|8|windows,windows_firewall|T1562.004|Defense Evasion|Windows firewall rule added that lets everything in
win_share|6|windows,windows_security|T1021.002|Lateral Movement|Administrative share of {host} was opened
sysmon_lsass|13|windows,sysmon,sysmon_event_10|T1003.001|Credential Access|Memory of LSASS was opened by an unusual program
sysmon_encoded|10|windows,sysmon,sysmon_event1|T1059.001,T1027|Execution|PowerShell started with an encoded command
sysmon_office|12|windows,sysmon,sysmon_event1|T1204.002,T1566.001|Execution|Office program started a command interpreter
sysmon_rundll|10|windows,sysmon,sysmon_event1|T1218.011|Defense Evasion|rundll32 loaded a library from a folder that users can write to
sysmon_drop|10|windows,sysmon,sysmon_event_11|T1204.002|Execution|Program file written to a folder that malware likes
sysmon_removable|9|windows,sysmon,sysmon_event1|T1091|Lateral Movement|Program started from removable storage
sysmon_shadow|15|windows,sysmon,sysmon_event1,ransomware|T1490|Impact|Shadow copies were deleted
sysmon_discovery|6|windows,sysmon,sysmon_event1|T1087.002,T1018|Discovery|Run of account and network discovery commands
sysmon_run_key|8|windows,sysmon,sysmon_event_13|T1547.001|Persistence|Program entered itself into a Run key
vulnerable|10|vulnerability-detector|T1190|Initial Access|Package with a known high-risk weakness found on {host}
sca_low|5|sca|||Configuration check of {host} fell below 60 points
clam|8|clamd,virus|T1204.002|Execution|ClamAV found malware in a mail attachment
vpn_login|3|vpn,authentication_success|T1133|Initial Access|Remote access session opened by {user}
vpn_failed|5|vpn,authentication_failed|T1110.003|Credential Access|Remote access login failed for {user}
vpn_spray|10|vpn,authentication_failures|T1110.003|Credential Access|Remote access logins failed for many accounts from one address
"""  # noqa: E501


_TECHNIQUES: Final = dict(
    line.split(" ", 1)
    for line in """\
T1003.001 LSASS Memory
T1003.006 DCSync
T1018 Remote System Discovery
T1021.001 Remote Desktop Protocol
T1021.002 SMB/Windows Admin Shares
T1021.004 SSH
T1027 Obfuscated Files or Information
T1052.001 Exfiltration over USB
T1053.003 Cron
T1053.005 Scheduled Task
T1059.001 PowerShell
T1059.004 Unix Shell
T1070.001 Clear Windows Event Logs
T1070.004 File Deletion
T1070.006 Timestomp
T1078 Valid Accounts
T1087.002 Domain Account
T1091 Replication Through Removable Media
T1098 Account Manipulation
T1105 Ingress Tool Transfer
T1110 Brute Force
T1110.001 Password Guessing
T1110.003 Password Spraying
T1133 External Remote Services
T1136 Create Account
T1136.001 Local Account
T1190 Exploit Public-Facing Application
T1204.002 Malicious File
T1218.011 Rundll32
T1490 Inhibit System Recovery
T1505.003 Web Shell
T1543.003 Windows Service
T1547.001 Registry Run Keys
T1548.003 Sudo and Sudo Caching
T1550.002 Pass the Hash
T1558.003 Kerberoasting
T1558.004 AS-REP Roasting
T1562.001 Disable or Modify Tools
T1562.004 Disable or Modify System Firewall
T1565.001 Stored Data Manipulation
T1566.001 Spearphishing Attachment
T1595.002 Vulnerability Scanning
T1649 Steal or Forge Authentication Certificates""".splitlines()
)
"""ATT&CK's names of the techniques that the rules name."""


def _read() -> dict[str, Rule]:
    found: dict[str, Rule] = {}
    for number, line in enumerate(_RULES.split("\n")[1:-1]):
        key, level, groups, techniques, tactic, text = line.split("|")
        numbers = tuple(filter(None, techniques.split(",")))
        found[key] = Rule(100100 + number * 5, int(level), tuple(groups.split(",")), numbers, (tactic,), text)
    return found


RULES: Final = _read()


def report(
    log: Logbook,
    at: int,
    host: Host,
    key: str,
    full_log: str,
    data: Thing | None = None,
    *,
    program: str = "",
    decoder: str = "json",
    location: str = "journald",
    user: str = "",
    **more: Thing,
) -> None:
    """One document. `key` names a rule of this file, `program` the syslog program, `more` further top-level parts."""
    at = log.blurred(at)
    rule = RULES[key]
    described = rule.text.format(host=host.name, user=user)
    fired: Thing = {
        "level": rule.level,
        "description": described,
        "id": str(rule.number),
        "firedtimes": log.between(1, 40),
        "mail": rule.level >= 12,
        "groups": [*rule.groups, "norrvik"],
    }
    if rule.techniques:
        fired["mitre"] = {
            "id": list(rule.techniques),
            "tactic": list(rule.tactics),
            "technique": [_TECHNIQUES[one] for one in rule.techniques],
        }
    record: Thing = {
        "timestamp": _stamp(at),
        "rule": fired,
        "agent": {"id": host.agent, "name": host.fqdn, "ip": host.address},
        "manager": {"name": MANAGER},
        "id": f"{at // SECOND}.{int(log.fresh(7), 16)}",
        "full_log": full_log,
        "decoder": {"name": decoder},
        "location": location,
    }
    if program:
        record["predecoder"] = {"program_name": program, "timestamp": _stamp(at)[:19], "hostname": host.name}
    if data:
        record["data"] = data
    log.add(SENDER, at, log.seconds(1, 6), {**record, **more})


def _stamp(at: int) -> str:
    return f"{format_ticks(at)[:23]}+0000"


def sshd(log: Logbook, at: int, host: Host, key: str, user: str, source: str) -> None:
    """A line of the SSH server."""
    number, port = log.between(900, 60000), log.between(30000, 61000)
    words = {"sshd_unknown": "Invalid user", "sshd_failed": "Failed password for"}.get(key, "Accepted password for")
    line = f"sshd[{number}]: {words} {user} from {source} port {port} ssh2"
    data: Thing = {"srcip": source, "srcport": str(port), "dstuser": user}
    report(log, at, host, key, line, data, program="sshd", decoder="sshd", user=user)


def web(log: Logbook, at: int, host: Host, key: str, source: str, request: str, status: int) -> None:
    """A line of the web server's access log; `request` is `GET /path`."""
    method, _, path = request.partition(" ")
    line = f'{source} - - [{_stamp(at)}] "{request} HTTP/1.1" {status} {log.between(150, 9000)} "-" "-"'
    data: Thing = {"srcip": source, "protocol": method, "url": path, "id": str(status)}
    report(log, at, host, key, line, data, decoder="web-accesslog", location="/var/log/nginx/shop.access.log")


def syscheck(log: Logbook, at: int, host: Host, key: str, path: str, digest: str, owner: str = "root") -> None:
    """A finding of the file integrity check."""
    event = {"file_added": "added", "cron_added": "added", "file_deleted": "deleted"}.get(key, "modified")
    part: Thing = {
        "path": path,
        "mode": "realtime",
        "event": event,
        "sha256_after": digest,
        "md5_after": hashlib.sha256(digest.encode()).hexdigest()[:32],
        "size_after": str(log.between(400, 90_000)),
        "uname_after": owner,
        "mtime_after": format_ticks(at)[:19],
    }
    report(
        log,
        at,
        host,
        key,
        f"File '{path}' {event}\nMode: realtime\n",
        decoder="syscheck",
        location="syscheck",
        syscheck=part,
    )


def windows(
    log: Logbook,
    at: int,
    host: Host,
    key: str,
    event: int,
    fields: Thing,
    message: str,
    *,
    user: str = "",
    channel: str = "Security",
) -> None:
    """An event of a Windows log. `fields` are its own data, as the channel names them."""
    provider = "Microsoft-Windows-Sysmon" if "Sysmon" in channel else f"Microsoft-Windows-{channel}-Auditing"
    system: Thing = {
        "providerName": provider,
        "eventID": str(event),
        "channel": channel,
        "computer": host.fqdn,
        "systemTime": format_ticks(at),
        "eventRecordID": str(log.between(100_000, 9_999_999)),
        "severityValue": "INFORMATION"
        if "Sysmon" in channel
        else "AUDIT_FAILURE"
        if event == 4625
        else "AUDIT_SUCCESS",
        "message": f'"{message}"',
    }
    data: Thing = {"win": {"system": system, "eventdata": fields}}
    report(log, at, host, key, message, data, decoder="windows_eventchannel", location="EventChannel", user=user)


def logon_failed(log: Logbook, at: int, host: Host, key: str, user: str, source: str, machine: str = "") -> None:
    """Event 4625."""
    fields: Thing = {
        "targetUserName": user,
        "targetDomainName": NETBIOS,
        "ipAddress": source,
        "workstationName": machine or "-",
        "logonType": "3",
        "status": "0xc000006d",
        "subStatus": "0xc000006a",
        "authenticationPackageName": "NTLM",
    }
    windows(log, at, host, key, 4625, fields, "An account failed to log on.", user=user)


def sysmon_process(
    log: Logbook,
    at: int,
    host: Host,
    key: str,
    person: Person | str,
    image: str,
    command: str,
    parent: str,
    digest: str,
    *,
    guid: str = "",
    parent_guid: str = "",
) -> None:
    """Sysmon event 1: a program started. `digest` is its SHA-256; guids are made where none is given."""
    name = person if isinstance(person, str) else person.account
    fields: Thing = {
        "processGuid": f"{{{guid or log.guid()}}}",
        "processId": str(log.between(1000, 15000)),
        "image": image,
        "commandLine": command,
        "user": f"{NETBIOS}\\{name}",
        "hashes": f"SHA256={digest.upper()}",
        "parentImage": parent,
        "parentProcessGuid": f"{{{parent_guid or log.guid()}}}",
        "parentProcessId": str(log.between(1000, 15000)),
        "integrityLevel": "Medium",
    }
    windows(log, at, host, key, 1, fields, f"Process Create: {image}", channel="Microsoft-Windows-Sysmon/Operational")


def sysmon_access(log: Logbook, at: int, host: Host, key: str, source: str, source_guid: str, user: str) -> None:
    """Sysmon event 10: a program opened the memory of LSASS."""
    fields: Thing = {
        "sourceProcessGUID": f"{{{source_guid}}}",
        "sourceProcessId": str(log.between(1000, 15000)),
        "sourceImage": source,
        "sourceUser": f"{NETBIOS}\\{user}",
        "targetImage": "C:\\Windows\\system32\\lsass.exe",
        "targetProcessId": "812",
        "grantedAccess": "0x1410",
    }
    windows(
        log, at, host, key, 10, fields, "Process accessed: lsass.exe", channel="Microsoft-Windows-Sysmon/Operational"
    )
