#!/usr/bin/env bash
# The `argo` command against a server of Argosy: HOST (https://host:port) and TOKEN are in the environment.  with_argo.sh ARGO
set -uo pipefail
argo=$1
export ARGO_SERVER=${HOST#https://} ARGO_HTTP1=true ARGO_SECURE=true ARGO_INSECURE_SKIP_VERIFY=true ARGO_TOKEN="Bearer $TOKEN" ARGO_NAMESPACE=argo KUBECONFIG=/dev/null
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
failures=0 count=0

# try WHAT PATTERN COMMAND…: the command ends with 0, and what it says matches
try() {
  local what=$1 pattern=$2 said code=0
  shift 2
  count=$((count + 1))
  said=$(timeout --kill-after=5 90 "$@" 2>&1 </dev/null) || code=$?
  if [ "$code" != 0 ] || ! grep -qE -- "$pattern" <<<"$said"; then
    failures=$((failures + 1))
    echo "FAILED  $what: $* ended with $code, and said:"
    head -20 <<<"$said" | sed 's/^/        /'
  fi
}
# refuse WHAT PATTERN COMMAND…: the command fails, and says why
refuse() {
  local what=$1 pattern=$2 said code=0
  shift 2
  count=$((count + 1))
  said=$(timeout --kill-after=5 90 "$@" 2>&1 </dev/null) || code=$?
  if [ "$code" = 0 ] || [ "$code" = 124 ] || ! grep -qE -- "$pattern" <<<"$said"; then
    failures=$((failures + 1))
    echo "FAILED  $what: $* ended with $code, and said:"
    head -20 <<<"$said" | sed 's/^/        /'
  fi
}

cat > "$dir/hello.yaml" <<'Y'
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: hello, labels: {team: a}}
spec:
  entrypoint: main
  arguments: {parameters: [{name: who, value: world}]}
  templates:
    - name: main
      steps: [[{name: say, template: say}]]
    - name: say
      container: {image: "busybox:1.36", command: [echo], args: ["hello {{workflow.parameters.who}}"]}
Y
cat > "$dir/waits.yaml" <<'Y'
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {generateName: waits-}
spec:
  entrypoint: main
  templates: [{name: main, suspend: {}}]
Y
cat > "$dir/fails.yaml" <<'Y'
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: fails}
spec:
  entrypoint: main
  templates: [{name: main, container: {image: "busybox:1.36", command: [sh, -c, "exit 3"]}}]
Y
sed 's/^kind: Workflow$/kind: WorkflowTemplate/; s/name: hello, labels: {team: a}/name: hello-template/' "$dir/hello.yaml" > "$dir/template.yaml"
sed 's/^kind: WorkflowTemplate$/kind: ClusterWorkflowTemplate/' "$dir/template.yaml" > "$dir/cluster-template.yaml"
cat > "$dir/cron.yaml" <<'Y'
apiVersion: argoproj.io/v1alpha1
kind: CronWorkflow
metadata: {name: nightly}
spec:
  schedules: ["0 3 * * *"]
  workflowSpec:
    entrypoint: main
    templates: [{name: main, container: {image: "busybox:1.36", command: ["true"]}}]
Y
echo "apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: bad}
spec: {entrypoint: nope, templates: []}" > "$dir/bad.yaml"

try version 'argo' "$argo" version
try lint 'no linting errors' "$argo" lint "$dir/hello.yaml"
refuse "lint of a mistake" 'nope|entrypoint|templates' "$argo" lint "$dir/bad.yaml"
try "submit and wait" 'Succeeded' "$argo" submit --wait "$dir/hello.yaml"
refuse "submit the same again" 'already exists' "$argo" submit "$dir/hello.yaml"
try "submit and watch" 'Succeeded' "$argo" submit --watch --name watched -p who=you "$dir/hello.yaml"
try "submit with logs" 'hello logs' "$argo" submit --log --name logged -p who=logs "$dir/hello.yaml"
try list 'hello .*Succeeded' "$argo" list
try "list by label" 'hello' "$argo" list -l team=a
try "list of running ones" 'NAME|No workflows' "$argo" list --running
try "list as JSON" '"name": "hello"' "$argo" list -o json
try get 'Status: +Succeeded' "$argo" get hello
try "get as YAML" 'phase: Succeeded' "$argo" get hello -o yaml
try "get the latest" 'Status:' "$argo" get @latest
refuse "get what is not there" 'not found' "$argo" get nope
try logs 'hello world' "$argo" logs hello
try "logs of a node's pod, followed" 'hello world' "$argo" logs hello --follow
try wait 'hello Succeeded' "$argo" wait hello
try watch 'Succeeded' "$argo" watch hello
try resubmit 'hello-' "$argo" resubmit --wait hello
refuse "submit what fails" 'Failed' "$argo" submit --wait "$dir/fails.yaml"
try retry 'fails' "$argo" retry fails
"$argo" wait fails >/dev/null 2>&1
waits=$("$argo" submit "$dir/waits.yaml" -o name)
try "get what waits" 'Status: +Running' "$argo" get "$waits"
try suspend 'suspended' "$argo" suspend "$waits"
try "node set" 'updated|set' "$argo" node set "$waits" --message "by hand" --node-field-selector displayName="$waits"
try resume 'resumed' "$argo" resume "$waits"
try "what was resumed ends" 'Succeeded' "$argo" wait "$waits"
waits=$("$argo" submit "$dir/waits.yaml" -o name)
try stop 'stopped' "$argo" stop "$waits" --message enough
waits=$("$argo" submit "$dir/waits.yaml" -o name)
try terminate 'terminated' "$argo" terminate "$waits"
for kind in template cluster-template; do
  try "$kind lint" 'no linting errors' "$argo" $kind lint "$dir/$kind.yaml"
  try "$kind create" 'hello-template' "$argo" $kind create "$dir/$kind.yaml"
  try "$kind list" 'hello-template' "$argo" $kind list
  try "$kind get" 'hello-template' "$argo" $kind get hello-template
  try "$kind update" 'hello-template' "$argo" $kind update "$dir/$kind.yaml"
done
try "submit from a template" 'Succeeded' "$argo" submit --wait --from workflowtemplate/hello-template
try "submit from a cluster's template" 'Succeeded' "$argo" submit --wait --from clusterworkflowtemplate/hello-template
try "cron lint" 'no linting errors' "$argo" cron lint "$dir/cron.yaml"
try "cron create" 'nightly' "$argo" cron create "$dir/cron.yaml"
try "cron list" 'nightly' "$argo" cron list
try "cron get" 'nightly' "$argo" cron get nightly
try "cron suspend" 'suspended' "$argo" cron suspend nightly
try "cron resume" 'resumed' "$argo" cron resume nightly
try "cron update" 'nightly' "$argo" cron update "$dir/cron.yaml"
try "submit from a schedule" 'Succeeded' "$argo" submit --wait --from cronwf/nightly
try "cron delete" 'deleted|^$' "$argo" cron delete nightly
try "template delete" 'deleted|^$' "$argo" template delete hello-template
try "cluster-template delete" 'deleted|^$' "$argo" cluster-template delete hello-template
try "archive list" 'NAME|No workflows found' "$argo" archive list
try "delete" "deleted" "$argo" delete hello
try "delete of the finished" "deleted" "$argo" delete --completed
echo "argo: $((count - failures)) of $count commands as expected"
[ "$failures" = 0 ]
