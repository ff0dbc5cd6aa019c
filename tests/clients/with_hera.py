"""Hera's own service client against a server of Argosy: HOST and TOKEN are in the environment."""

import os

from hera.exceptions import NotFound
from hera.workflows import (
    ClusterWorkflowTemplate,
    Container,
    CronWorkflow,
    Parameter,
    Steps,
    Workflow,
    WorkflowsService,
    WorkflowTemplate,
    script,
)
from hera.workflows import models as m

NAMESPACE = "argo"
service = WorkflowsService(
    host=os.environ["HOST"], token=os.environ["TOKEN"], verify_ssl=False, namespace=NAMESPACE
)
common = {"workflows_service": service, "namespace": NAMESPACE}


@script(image="python:3", command=["python3"])
def hello(name: str):
    print(f"hello {name}")


def container(args):
    return Container(name="main", image="busybox:1.36", command=["sh", "-c"], args=args)


def names(listed):
    return [item.metadata.name for item in listed.items or []]


def about():
    assert service.get_version().version
    assert service.get_user_info().subject
    assert service.get_info().managed_namespace == ""


def workflows():
    with Workflow(generate_name="hera-", entrypoint="main", **common) as workflow:
        with Steps(name="main"):
            hello(name="a", arguments={"name": "world"})
    assert workflow.lint() is not None
    created = workflow.create(wait=True, poll_interval=1)
    name = created.metadata.name
    assert created.status.phase == "Succeeded", created.status
    assert name in names(service.list_workflows(namespace=NAMESPACE))
    assert service.get_workflow(name, namespace=NAMESPACE).status.phase == "Succeeded"
    service.delete_workflow(name, namespace=NAMESPACE)
    try:
        service.get_workflow(name, namespace=NAMESPACE)
        raise AssertionError("it is still there")
    except NotFound:
        pass


def changes():
    with Workflow(generate_name="bad-", entrypoint="main", **common) as workflow:
        container(["exit 3"])
    failed = workflow.create(wait=True, poll_interval=1)
    name = failed.metadata.name
    assert failed.status.phase == "Failed", failed.status
    retry = m.WorkflowRetryRequest(name=name, namespace=NAMESPACE)
    assert service.retry_workflow(name, retry, namespace=NAMESPACE).metadata.name == name
    again = m.WorkflowResubmitRequest(name=name, namespace=NAMESPACE)
    second = service.resubmit_workflow(name, again, namespace=NAMESPACE).metadata.name
    assert second != name
    stop = m.WorkflowStopRequest(name=second, namespace=NAMESPACE)
    assert service.stop_workflow(second, stop, namespace=NAMESPACE).spec.shutdown == "Stop"


def templates():
    for value in ["1", "2"]:
        parameters = [Parameter(name="x", value=value)]
        with WorkflowTemplate(name="tmpl", entrypoint="main", arguments=parameters, **common) as template:
            container(["true"])
        template.lint()
        template.create() if value == "1" else template.update()
    stored = service.get_workflow_template("tmpl", namespace=NAMESPACE)
    assert stored.spec.arguments.parameters[0].value == "2"
    options = m.SubmitOpts(parameters=["x=5"])
    request = m.WorkflowSubmitRequest(
        namespace=NAMESPACE, resource_kind="WorkflowTemplate", resource_name="tmpl", submit_options=options
    )
    assert service.submit_workflow(request, namespace=NAMESPACE).metadata.name.startswith("tmpl-")
    service.delete_workflow_template("tmpl", namespace=NAMESPACE)
    with ClusterWorkflowTemplate(name="ctmpl", entrypoint="main", workflows_service=service) as template:
        container(["true"])
    template.create()
    assert "ctmpl" in names(service.list_cluster_workflow_templates())
    service.delete_cluster_workflow_template("ctmpl")


def schedules():
    with CronWorkflow(name="cron", entrypoint="main", schedules=["0 0 * * *"], **common) as cron:
        container(["true"])
    cron.lint()
    cron.create()
    assert "cron" in names(service.list_cron_workflows(namespace=NAMESPACE))
    suspend = m.CronWorkflowSuspendRequest(name="cron", namespace=NAMESPACE)
    assert service.suspend_cron_workflow("cron", suspend, namespace=NAMESPACE).spec.suspend is True
    resume = m.CronWorkflowResumeRequest(name="cron", namespace=NAMESPACE)
    assert not service.resume_cron_workflow("cron", resume, namespace=NAMESPACE).spec.suspend
    service.delete_cron_workflow("cron", namespace=NAMESPACE)


def archive():
    assert not service.list_archived_workflows(namespace=NAMESPACE).items


for check in [about, workflows, changes, templates, schedules, archive]:
    check()
    print(f"ok    hera: {check.__name__}")
