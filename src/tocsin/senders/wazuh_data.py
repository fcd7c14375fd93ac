"""What the `data` and `syscheck` parts of a Wazuh document name: ends, accounts, processes, files, keys.

Wazuh's decoders write nearly every value as text and put custom fields beside their own, so each value is
looked at for what it is; one that cannot be read is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tocsin.model import Entity
from tocsin.senders import eve as eve_parts
from tocsin.senders.bounds import integer_or_none, moment_or_none, object_in
from tocsin.senders.eve import Eve
from tocsin.senders.observables import Observables, address, hash_of, hashes_in, path_parts

_UNSET_SESSION: Final = "4294967295"
# Sysmon events whose hashes are of the file that was written, not of the process that wrote it.
_HASHES_OF_TARGET: Final = frozenset(("15", "23", "26", "29"))


def embedded_eve(data: Mapping[str, object]) -> Eve | None:
    """The Suricata alert that the JSON decoder unpacked into `data`; None where it is something else."""
    if data.get("event_type") != "alert" or not isinstance(data.get("alert"), dict):
        return None
    return msgspec.convert(data, Eve)


def gather(
    found: Observables, data: dict[str, object], syscheck: dict[str, object], device: str, eve: Eve | None
) -> None:
    """Collect everything the document names. `device` is the name of its machine, "" where it has none."""
    if eve is not None:
        eve_parts.gather(found, eve)
    _plain(found, data)
    if "win" in data:
        win = object_in(data, "win")
        event = {key.lower(): _unescaped(value) for key, value in object_in(win, "eventdata").items()}
        _windows(found, event, found.name(object_in(win, "system").get("eventID")), device)
    if "audit" in data:
        _audit(found, object_in(data, "audit"), device)
    if "virustotal" in data:
        _virustotal(found, object_in(data, "virustotal"))
    if "aws" in data:
        _aws(found, object_in(data, "aws"))
    if "office365" in data:
        _office365(found, object_in(data, "office365"))
    if "gcp" in data:
        payload = object_in(object_in(data, "gcp"), "protoPayload")
        found.user(object_in(payload, "authenticationInfo").get("principalEmail"))
        found.ip(object_in(payload, "requestMetadata").get("callerIp"))
    if syscheck:
        _syscheck(found, syscheck)


def _plain(found: Observables, data: Mapping[str, object]) -> None:
    """The fields that Wazuh's decoders share. A `url` without a host says where on some server, and is no Url."""
    for key in ("srcip", "src_ip", "dstip", "dest_ip"):
        if key in data:
            found.ip(data[key])
    for key in ("srcuser", "dstuser"):
        if key in data:
            found.user(data[key])
    link = data.get("url")
    if isinstance(link, str) and "://" in link[:12]:
        found.url(link)


def _unescaped(value: object) -> object:
    """Event data as Windows wrote it: some Wazuh versions double each backslash and escape quotes once more."""
    if not isinstance(value, str) or "\\" not in value:
        return value
    text = value.replace('\\"', '"')
    halved = text.replace("\\\\", "\0")
    return halved.replace("\0", "\\") if "\\" not in halved else text


def _windows(found: Observables, event: Mapping[str, object], event_id: str, device: str) -> None:
    """Sysmon, Security, System and PowerShell events; the field names hardly overlap, so one reading does."""
    hashes_text = event.get("hashes")
    hashes = hashes_in(hashes_text) if isinstance(hashes_text, str) else hash_of(event.get("hash"))
    loaded = event.get("imageloaded")
    written = event.get("targetfilename")
    of_image = {} if loaded or (written and event_id in _HASHES_OF_TARGET) else hashes
    _windows_processes(found, event, of_image)
    for account, domain, sid in (
        ("user", "", ""),
        ("subjectusername", "subjectdomainname", "subjectusersid"),
        ("targetusername", "targetdomainname", "targetusersid"),
        ("membername", "", "membersid"),
        ("parentuser", "", ""),
    ):
        if account in event:
            found.user(event[account], domain=event.get(domain), sid=event.get(sid, ""))
    for key in ("logonid", "targetlogonid", "subjectlogonid"):
        if key in event:
            found.logon_session(device, event[key])
    for key in ("ipaddress", "sourceip", "destinationip", "clientaddress"):
        if key in event:
            found.ip(event[key])
    found.domain(event.get("destinationhostname"))
    found.domain(event.get("queryname"))
    if loaded:
        found.file(loaded, hashes)
    if written:
        found.file(written, hashes if event_id in _HASHES_OF_TARGET else None)
    if "targetobject" in event:
        found.registry(event["targetobject"], registry_value=found.name(event.get("details")) or None)
    _windows_names(found, event)


def _windows_processes(found: Observables, event: Mapping[str, object], hashes: dict[str, str]) -> None:
    image = event.get("image") or event.get("newprocessname") or event.get("sourceimage") or event.get("processname")
    guid = event.get("processguid") or event.get("sourceprocessguid")
    number = event.get("newprocessid") or event.get("sourceprocessid") or event.get("processid")
    parent_image = event.get("parentimage") or event.get("parentprocessname")
    # In event 4688 `processId` is the creator's, `newProcessId` the new one's.
    parent_number = event.get("processid") if "newprocessid" in event else event.get("parentprocessid")
    parent_name, parent_folder = path_parts(found.name(parent_image))
    _process(
        found,
        image,
        guid,
        number,
        process_command_line=found.command_line(event.get("commandline")),
        process_creation_time=moment_or_none(event.get("utctime")) if "commandline" in event else None,
        parent_process_id=integer_or_none(parent_number),
        parent_process_file_name=parent_name or None,
        parent_process_file_path=parent_folder or None,
        parent_process_unique_id=_guid(found, event.get("parentprocessguid")),
        **hashes,
    )
    if parent_image:
        _process(
            found,
            parent_image,
            event.get("parentprocessguid"),
            parent_number,
            process_command_line=found.command_line(event.get("parentcommandline")),
        )
    if "targetimage" in event:
        _process(found, event["targetimage"], event.get("targetprocessguid"), event.get("targetprocessid"))


def _guid(found: Observables, value: object) -> str | None:
    text = found.name(value).strip("{}").lower()
    return text if text.strip("0-") else None


def _process(found: Observables, image: object, guid: object, number: object, **fields: str | int | None) -> None:
    name, folder = path_parts(found.name(image))
    process_id = integer_or_none(number)
    unique = _guid(found, guid)
    if not name and not unique:
        return
    entity = Entity(
        entity_type="Process",
        file_name=name or None,
        file_path=folder or None,
        process_id=process_id,
        process_unique_id=unique,
        **fields,  # type: ignore[arg-type]
    )
    found.add(("Process", unique or (name.lower(), process_id)), entity)


def _windows_names(found: Observables, event: Mapping[str, object]) -> None:
    """Services, tasks, shares, pipes and scripts."""
    service = found.name(event.get("servicename"))
    if service:
        path = found.name(event.get("servicefilename") or event.get("imagepath"))
        entity = Entity(entity_type="Service", service_name=service, process_command_line=path or None)
        found.add(("Service", service.lower()), entity)
    task = found.name(event.get("taskname"))
    if task:
        found.add(("ScheduledTask", task.lower()), Entity(entity_type="ScheduledTask", task_name=task))
    share = found.name(event.get("sharename"))
    if share:
        found.add(("Share", share.lower()), Entity(entity_type="Share", share_name=share))
    pipe = found.name(event.get("pipename"))
    if pipe:
        found.add(("NamedPipe", pipe.lower()), Entity(entity_type="NamedPipe", pipe_name=pipe))
    script = _guid(found, event.get("scriptblockid"))
    if script:
        found.add(("Script", script), Entity(entity_type="Script", script_block_id=script))


def _audit(found: Observables, audit: Mapping[str, object], device: str) -> None:
    """A record of Linux auditd."""
    arguments = object_in(audit, "execve")
    words = (found.name(arguments[key]) for key in (f"a{number}" for number in range(64)) if key in arguments)
    _process(
        found,
        audit.get("exe") or audit.get("command"),
        None,
        audit.get("pid"),
        process_command_line=found.command_line(" ".join(words)),
        parent_process_id=integer_or_none(audit.get("ppid")),
    )
    for key in ("file", "directory"):
        found.file(object_in(audit, key).get("name"))
    found.user(audit.get("acct"))
    found.ip(audit.get("srcip"))
    session = found.name(audit.get("session"))
    if session != _UNSET_SESSION:
        found.logon_session(device, session)


def _syscheck(found: Observables, syscheck: Mapping[str, object]) -> None:
    """A change that file integrity monitoring saw: the file or registry value, and who did it where that is known."""
    path = found.name(syscheck.get("path"))
    if path.upper().startswith("HKEY_"):
        found.registry(path, registry_value_name=found.name(syscheck.get("value_name")) or None)
    else:
        hashes = {k: v for kind in ("md5", "sha1", "sha256") for k, v in hash_of(syscheck.get(f"{kind}_after")).items()}
        found.file(path, hashes)
    audit = object_in(syscheck, "audit")
    process = object_in(audit, "process")
    _process(
        found, process.get("name"), None, process.get("id"), parent_process_id=integer_or_none(process.get("ppid"))
    )
    actors = [object_in(audit, key).get("name") for key in ("login_user", "effective_user", "user")]
    for name in actors if any(actors) else [syscheck.get("uname_after")]:
        found.user(name)


def _virustotal(found: Observables, result: Mapping[str, object]) -> None:
    source = object_in(result, "source")
    verdict = "Malicious" if found.name(result.get("malicious")) == "1" else None
    hashes = hash_of(source.get("md5")) | hash_of(source.get("sha1")) | hash_of(source.get("sha256"))
    found.file(source.get("file"), hashes, verdict=verdict)


def _aws(found: Observables, aws: Mapping[str, object]) -> None:
    """CloudTrail records, flow logs and GuardDuty findings, told apart by the keys they have."""
    for key in ("sourceIPAddress", "source_ip_address", "srcaddr", "dstaddr"):
        # CloudTrail writes the name of a service here when a service made the call.
        if address(found.name(aws.get(key))):
            found.ip(aws[key])
    caller = object_in(aws, "userIdentity")
    found.user(caller.get("userName") or found.name(caller.get("arn")).rpartition("/")[2])
    for action in object_in(object_in(aws, "service"), "action").values():
        if isinstance(action, dict):
            found.ip(object_in(action, "remoteIpDetails").get("ipAddressV4"))
    instance = found.name(object_in(object_in(aws, "resource"), "instanceDetails").get("instanceId"))
    if instance:
        found.add(("CloudResource", instance), Entity(entity_type="CloudResource", application_instance_name=instance))


def _office365(found: Observables, record: Mapping[str, object]) -> None:
    found.user(record.get("UserId"))
    for key in ("ClientIP", "ClientIPAddress", "ActorIpAddress"):
        found.ip(record.get(key))
    owner = found.name(record.get("MailboxOwnerUPN"))
    if owner:
        mailbox = Entity(entity_type="Mailbox", user_principal_name=owner, mailbox_address=owner)
        found.add(("Mailbox", owner.lower()), mailbox)
    target = record.get("ObjectId")
    if isinstance(target, str) and target[:8] == "https://":
        found.url(target)
