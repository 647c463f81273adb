"""What the wizard shows: form, YAML by lines, verdict, difference and commands."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ostiary_operator.api.objects import identity_of
from ostiary_operator.api.server_kinds import BUILT_IN
from ostiary_operator.console.hostile_text import ShownText
from ostiary_operator.console.wizard.recorded_use import ObservedUse
from ostiary_operator.console.wizard.steps import WizardStep, form_field, next_step, shown_findings
from ostiary_operator.local.findings import Finding, Severity
from ostiary_operator.local.proxy_drafts.draft_objects import DraftContext, authored, draft_objects
from ostiary_operator.local.proxy_drafts.draft_text import ChangedLine, difference, yaml_text
from ostiary_operator.local.proxy_drafts.draft_verdict import Surroundings, endpoint_urls, judge
from ostiary_operator.local.proxy_drafts.proxy_form import GATEWAY_FIELD, ProxyForm, form_values

_FILE_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
_SOMETHING: Final = "mcpproxy"
#: Characters of YAML that are judged here, which takes well under a second. `ostiary validate` has no such bound.
MOST_JUDGED: Final = 32_768
_MOST_FINDINGS: Final = 100


@dataclass(frozen=True, slots=True)
class WizardRequest:
    """What the viewer sent: the form, the step, and what they want next.

    ``edited`` is the MCPProxy that is changed. ``own_text`` is YAML that the viewer wrote instead of the form's.
    """

    form: ProxyForm
    step: WizardStep = WizardStep.NAME
    goes_on: bool = False
    edited: Mapping[str, Any] | None = None
    own_text: str = ""


@dataclass(frozen=True, slots=True)
class NumberedLine:
    """One line of the YAML, and the worst of its findings: error, warning or nothing."""

    number: int
    text: str
    mark: str


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """One finding of the verdict. ``form_field`` is the field of the form, if it is about one."""

    severity: str
    line: int
    column: int
    object: str
    field: str
    message: str
    remedy: str
    form_field: str


@dataclass(frozen=True, slots=True)
class GatewayBox:
    """A gateway that can be chosen."""

    identity: str
    field: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class NextCommand:
    """A command to copy, and what it is for."""

    purpose: str
    line: str


@dataclass(frozen=True, slots=True)
class WizardModel:
    """The page. ``form`` are the fields by their names, ``problems`` what is wrong with them.

    YAML that is too long for this page is not judged. Of many findings the first are shown, and ``more_findings`` are
    not.
    """

    step: WizardStep
    steps: tuple[str, ...]
    form: Mapping[str, str]
    problems: Mapping[str, str]
    editing: str
    path: str
    urls: tuple[str, ...]
    file_name: str
    text: str
    lines: tuple[NumberedLine, ...]
    findings: tuple[ShownFinding, ...]
    more_findings: int
    is_judged: bool
    is_valid: bool
    is_own_text: bool
    changes: tuple[ChangedLine, ...]
    gateways: tuple[GatewayBox, ...]
    server_kinds: tuple[str, ...]
    proxies: tuple[str, ...]
    used: ObservedUse | None
    commands: tuple[NextCommand, ...] = field(default=())


def wizard_model(request: WizardRequest, around: Surroundings, used: ObservedUse | None) -> WizardModel:
    """Return what the page shows. It takes a moment: call it outside of the event loop."""
    form = request.form
    text = request.own_text or _text(request, around, used)
    file = file_name(form)
    is_judged = 0 < len(text) <= MOST_JUDGED
    judged = judge(text, around, file=file, namespace=form.namespace).findings if is_judged else ()
    step = next_step(judged, request.step) if request.goes_on else request.step
    # A step that was just reached is not filled in yet, so its gaps are no findings.
    shown = judged if request.own_text else shown_findings(judged, min(step, request.step))
    edited = request.edited
    return WizardModel(
        step=step,
        steps=tuple(each.title for each in WizardStep),
        form={name: ShownText(value) for name, value in form_values(form).items()},  # exact: fields are sent back
        problems=_problems(shown),
        editing=identity_of(edited) if edited is not None else "",
        path=f"{form.effective_path}/mcp" if form.name else "",
        urls=tuple(endpoint_urls(form.effective_path, around)) if form.name else (),
        file_name=file,
        text=text,
        lines=_lines(text, shown),
        findings=tuple(map(_shown, shown[:_MOST_FINDINGS])),
        more_findings=max(len(shown) - _MOST_FINDINGS, 0),
        is_judged=is_judged,
        is_valid=is_judged and all(each.severity is not Severity.ERROR for each in shown),
        is_own_text=bool(request.own_text),
        changes=tuple(difference(yaml_text([authored(edited)]), text)) if edited is not None else (),
        gateways=_boxes(form, around),
        server_kinds=tuple(f"{kind.kind}.{kind.group}" for kind in BUILT_IN),
        proxies=tuple(identity_of(each) for each in around.proxies),
        used=used,
        commands=_commands(form, file, is_edit=edited is not None) if step is WizardStep.COMMIT else (),
    )


def _text(request: WizardRequest, around: Surroundings, used: ObservedUse | None) -> str:
    if not request.form.name:
        return ""
    recording = used.recording if used is not None else None
    for_everyone = used is not None and used.is_for_everyone
    context = DraftContext(around.operator_namespace, request.edited, recording, for_everyone)
    return yaml_text(draft_objects(request.form, context))


def file_name(form: ProxyForm) -> str:
    """Return the name of the file to commit."""
    return f"{form.name if _FILE_NAME.fullmatch(form.name) else _SOMETHING}.yaml"


def _problems(findings: Sequence[Finding]) -> dict[str, str]:
    """Return the first error of each field of the form."""
    found: dict[str, str] = {}
    for each in findings:
        name = form_field(each)
        if name and each.severity is Severity.ERROR:
            found.setdefault(name, f"{each.message}; {each.remedy}" if each.remedy else each.message)
    return found


def _lines(text: str, findings: Sequence[Finding]) -> tuple[NumberedLine, ...]:
    marks: dict[int, str] = {}
    for each in findings:
        if marks.get(each.line) != Severity.ERROR.value:
            marks[each.line] = each.severity.value
    return tuple(
        NumberedLine(number, line, marks.get(number, "")) for number, line in enumerate(text.splitlines(), start=1)
    )


def _shown(finding: Finding) -> ShownFinding:
    return ShownFinding(
        severity=finding.severity.value,
        line=finding.line,
        column=finding.column,
        object=finding.subject,
        field=finding.field,
        message=finding.message,
        remedy=finding.remedy,
        form_field=form_field(finding),
    )


def _boxes(form: ProxyForm, around: Surroundings) -> tuple[GatewayBox, ...]:
    """Return the gateways to choose from: those that exist, and those that are chosen."""
    known = sorted({*around.gateways, *form.gateways})
    return tuple(GatewayBox(each, f"{GATEWAY_FIELD}{each}", each in form.gateways) for each in known)


def _commands(form: ProxyForm, file: str, *, is_edit: bool) -> tuple[NextCommand, ...]:
    if not _FILE_NAME.fullmatch(form.name) or not _FILE_NAME.fullmatch(form.namespace):
        return ()  # a command is copied into a shell, so nothing but plain names stands in one
    name, namespace = form.name, form.namespace
    did = "Change" if is_edit else "Add"
    wait = f"kubectl wait --for=condition=Programmed mcpproxy/{name} -n {namespace} --timeout=60s"
    return (
        NextCommand("Check it on your machine", f"ostiary validate {file}"),
        NextCommand("Commit it, where Argo CD or Flux applies it", f'git add {file} && git commit -m "{did} {name}"'),
        NextCommand("Or apply it yourself", f"kubectl apply --server-side -f {file}"),
        NextCommand("Wait until every replica of its gateways runs it", wait),
        NextCommand("If that takes longer: find the first step that fails", f"ostiary doctor {name} -n {namespace}"),
    )
