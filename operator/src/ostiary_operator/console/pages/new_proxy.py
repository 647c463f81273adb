"""``/new``: the wizard that makes the YAML of an MCPProxy, or changes that of one."""

from collections.abc import Mapping
from typing import Any, Final

from ostiary_operator.api.objects import identity_of
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.errors import PageNotFound
from ostiary_operator.console.page import Page, PageContext, PageFile, PageView
from ostiary_operator.console.page_query import PageQuery
from ostiary_operator.console.wizard.recorded_use import ObservedUse, observed_use
from ostiary_operator.console.wizard.steps import WizardStep
from ostiary_operator.console.wizard.surroundings import surroundings
from ostiary_operator.console.wizard.wizard_model import MOST_JUDGED, WizardModel, WizardRequest, wizard_model
from ostiary_operator.local.proxy_drafts.proxy_form import AccessChoice, ProxyForm, form_of, read_form
from ostiary_operator.worker_thread import compute

#: What the buttons of the form send as ``go``, besides the number of a step.
_NEXT: Final = "next"
_DOWNLOAD: Final = "download"
_CHECK: Final = "check"


async def _view(context: PageContext) -> PageView | PageFile:
    sent = context.form or context.query
    request = await _request(context, sent)
    around = await surroundings(context, request.form.namespace)
    used = await _used(context, request.form, {identity_of(each) for each in around.proxies})
    model = await compute(wizard_model, request, around, used)
    if sent.text("go", limit=16) == _DOWNLOAD:
        return PageFile(model.file_name, model.text)
    return PageView("new_proxy.html", model, title=_title(model))


def _title(model: WizardModel) -> str:
    return f"Edit {model.editing}" if model.editing else ""


async def _request(context: PageContext, sent: PageQuery) -> WizardRequest:
    """Return what the viewer asks for.

    Raises:
        PageNotFound: the MCPProxy to edit does not exist, or the viewer may not know of it.
    """
    edited = await _edited(context, sent.proxy)
    before = (
        form_of(edited, operator_namespace=context.sources.operator_namespace) if edited is not None else ProxyForm()
    )
    go = sent.text("go", limit=16)
    form = read_form(sent.values, before)
    step = sent.number("step", default=1, most=len(WizardStep))
    own = sent.text("yaml", limit=MOST_JUDGED) if go in {_CHECK, _DOWNLOAD} else ""
    chosen = int(go) if go in {str(each.value) for each in WizardStep} else step
    return WizardRequest(form, WizardStep(chosen), goes_on=go == _NEXT, edited=edited, own_text=own and f"{own}\n")


async def _edited(context: PageContext, identity: str) -> Mapping[str, Any] | None:
    if not identity:
        return None
    namespace, _, name = identity.partition("/")
    may = await context.rights.may(Right.PROXY, namespace=namespace, name=name)
    found = await context.sources.objects.proxy(identity) if may else None
    if found is None:
        raise PageNotFound(f"there is no MCPProxy {identity} that you may see")
    return found


async def _used(context: PageContext, form: ProxyForm, visible: set[str]) -> ObservedUse | None:
    if form.access is not AccessChoice.USED or form.used_by not in visible:
        return None
    return await observed_use(context, form.used_by)


NEW_PROXY: Final = Page("/new", "New proxy", _view, accepts_forms=True)
