#!/usr/bin/env bash
# Runs workflows on a real Kubernetes cluster and compares how they end with what they expect.
# usage: KUBECONFIG=… NATS_URL=… EXECUTOR_IMAGE=… tests/cluster/run.sh [--installed] [--install] [WORKFLOW.yaml…]
#   (no flag)    starts `argosy all-in-one` on this machine
#   --install    installs deploy/ from ARGOSY_IMAGE and EXECUTOR_IMAGE into the cluster first, beside the NATS of NATS_URL
#   --installed  takes the Argosy that runs in the cluster
# Further: ARGOSY (the program, default target/debug/argosy), S3_ENDPOINT (host:port of an S3 server with the bucket my-bucket;
# without it workflows with artifacts are left out), OVERLAY (what of deploy/ is installed; default base; with
# overlays/namespaced NAMESPACE must be argosy), IMAGE_MIRRORS (see argosy pod-runner --help), NAMESPACE, LOGS.
# A workflow says in its first comments: `expect: PHASE`, `expect-jq: FILTER` of the final object, `needs: VARIABLE`,
# `do: stop|terminate` (once a step runs).
set -uo pipefail
cd "$(dirname "$0")/../.."
mode=local
while [ $# -gt 0 ]; do case $1 in --installed) mode=installed ;; --install) mode=install ;; -*) sed -n 2,11p "$0"; exit 2 ;; *) break ;; esac; shift; done
for variable in KUBECONFIG NATS_URL EXECUTOR_IMAGE; do
  if [ -z "${!variable:-}" ]; then echo "not run: $variable is not set, and a real cluster is needed" >&2; exit 77; fi
done
for program in kubectl jq; do
  command -v $program >/dev/null || { echo "not run: there is no $program" >&2; exit 77; }
done
argosy=${ARGOSY:-target/debug/argosy} namespace=${NAMESPACE:-argosy-test} logs=${LOGS:-$(mktemp -d)}
mkdir -p "$logs"
k() { kubectl -n "$namespace" "$@"; }

setup() {
  kubectl apply --server-side -f deploy/crds >/dev/null || exit 1
  kubectl create namespace "$namespace" --dry-run=client -o yaml | kubectl apply -f - >/dev/null
  k apply -f tests/cluster/setup.yaml >/dev/null || exit 1
  # namespaces get their default service account a moment later
  for _ in $(seq 50); do k get serviceaccount default >/dev/null 2>&1 && break; sleep 0.1; done
}

# The configuration of artifacts, in the namespace of Argosy.
configuration() {
  cat <<Y
apiVersion: v1
kind: ConfigMap
metadata: {name: workflow-controller-configmap}
data:
  artifactRepository: |
    s3:
      bucket: my-bucket
      endpoint: ${S3_ENDPOINT:-127.0.0.1:1}
      insecure: true
      keyFormat: "in-order/{{workflow.name}}/{{pod.name}}"
      accessKeySecret: {name: s3-credentials, key: accesskey}
      secretKeySecret: {name: s3-credentials, key: secretkey}
Y
}

start() {
  [ -x "$argosy" ] || { echo "not run: $argosy is not there; build it with cargo build -p argosy-cli" >&2; exit 77; }
  configuration | kubectl -n default apply -f - >/dev/null || exit 1
  ARGOSY_IMAGE_MIRRORS=${IMAGE_MIRRORS:-docker.io=https://registry-1.docker.io} "$argosy" all-in-one --nats "$NATS_URL" --prefix "cluster-test" --shards 4 \
    --executor-image "$EXECUTOR_IMAGE" --config-map workflow-controller-configmap >"$logs/argosy.log" 2>&1 &
  own=$!
  trap 'kill $own 2>/dev/null; wait $own 2>/dev/null' EXIT
  sleep 1
  kill -0 $own 2>/dev/null || { tail -5 "$logs/argosy.log" >&2; exit 1; }
}

install() {
  local overlay=target/cluster-overlay
  rm -rf $overlay
  mkdir -p $overlay
  cp -r deploy $overlay/deploy
  configuration > $overlay/configuration.yaml
  cat > $overlay/kustomization.yaml <<Y
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: argosy
resources: ["deploy/${OVERLAY:-base}"]
images: [{name: argosy, newName: "${ARGOSY_IMAGE%:*}", newTag: "${ARGOSY_IMAGE##*:}"}]
patches:
  - path: configuration.yaml
  - patch: |
      {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: nats}, \$patch: delete}
  - patch: |
      {apiVersion: v1, kind: Service, metadata: {name: nats}, \$patch: delete}
  - patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata: {name: argosy}
      spec:
        replicas: 1
        template:
          spec:
            containers:
              - name: argosy
                # recorded runs ask for all processors of a small node
                resources: {requests: {cpu: "0"}}
                env:
                  - {name: ARGOSY_NATS, value: "$NATS_URL"}
                  - {name: ARGOSY_PREFIX, value: cluster-install}
                  - {name: ARGOSY_EXECUTOR_IMAGE, value: "$EXECUTOR_IMAGE"}
                  - {name: ARGOSY_IMAGE_MIRRORS, value: "${IMAGE_MIRRORS:-docker.io=https://registry-1.docker.io}"}
Y
  kubectl apply -k $overlay >/dev/null || exit 1
  kubectl -n argosy rollout status deployment/argosy --timeout=180s || { kubectl -n argosy describe pods >&2; exit 1; }
}

# says FILE WORD: what the comments say after the word
says() { sed -n "s/^# $2: //p" "$1" | head -1; }

one() {
  local file=$1 base needs name object phase filter wanted act
  base=$(basename "$file" .yaml)
  needs=$(says "$file" needs)
  if [ -n "$needs" ] && [ -z "${!needs:-}" ]; then echo "left out  $base: $needs is not set"; return 0; fi
  name=$(sed "s#EXECUTOR_IMAGE#$EXECUTOR_IMAGE#" "$file" | k create -f - -o name) || { echo "FAILED    $base: not created"; return 1; }
  wanted=$(says "$file" expect)
  act=$(says "$file" do)
  for _ in $(seq 300); do
    object=$(k get "$name" -o json)
    phase=$(jq -r '.status.phase // ""' <<<"$object")
    case $phase in Succeeded | Failed | Error) break ;; esac
    if [ -n "$act" ] && jq -e '[.status.nodes[]? | select(.type == "Pod" and .phase == "Running")] != []' <<<"$object" >/dev/null; then
      local how=Stop
      [ "$act" = stop ] || how=Terminate
      k patch "$name" --type merge -p "{\"spec\":{\"shutdown\":\"$how\"}}" >/dev/null
      act=
    fi
    sleep 0.4
  done
  jq . <<<"$object" > "$logs/$base.json"
  filter=$(says "$file" expect-jq)
  if [ "$phase" = "$wanted" ] && { [ -z "$filter" ] || jq -e "$filter" <<<"$object" >/dev/null; }; then
    echo "ok        $base"
    return 0
  fi
  echo "FAILED    $base: $phase $(jq -c '[.status.message, (.status.nodes // {} | .[] | select(.type == "Pod") | .message)]' <<<"$object")"
  return 1
}

setup
case $mode in local) start ;; install) install ;; installed) ;; esac
[ $# -gt 0 ] || set -- tests/cluster/workflows/*.yaml
failures=0
pids=()
for file in "$@"; do
  one "$file" & pids+=($!)
  # a few at a time
  while [ "$(jobs -rp | wc -l)" -gt "${JOBS:-4}" ]; do sleep 0.1; done
done
for pid in "${pids[@]}"; do wait "$pid" || failures=$((failures + 1)); done
echo "$failures of ${#pids[@]} failed; objects and logs are in $logs"
[ "$failures" = 0 ]
