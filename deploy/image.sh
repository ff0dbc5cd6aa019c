#!/usr/bin/env bash
# Builds the images of Argosy without a container engine: static programs, one layer each, as an OCI layout.
# usage: deploy/image.sh [--to DIR] [--push REGISTRY/PREFIX] [--tag TAG] [--only argosy|executor] [--no-build]
#   --to DIR           where the layouts go (default: target/image); `skopeo copy oci:DIR/argosy:TAG …` takes them anywhere
#   --push REG/PREFIX  pushes REG/PREFIX/argosy and REG/PREFIX/executor with skopeo; --plain-http for a registry without TLS
#   --no-build         takes the programs that were built before
# Needs cargo, tar, gzip, sha256sum. $TARGET names the Rust target (default: musl where it is installed, else gnu, both static).
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/image tag=latest push= only= build=1 tls=true
while [ $# -gt 0 ]; do
  case $1 in
    --to) out=$2; shift ;; --push) push=$2; shift ;; --tag) tag=$2; shift ;; --only) only=$2; shift ;;
    --no-build) build= ;; --plain-http) tls=false ;;
    *) sed -n 2,7p "$0"; exit 2 ;;
  esac
  shift
done
machine=$(uname -m)
if [ -z "${TARGET:-}" ]; then
  TARGET=$machine-unknown-linux-gnu
  if rustc --print target-libdir --target "$machine-unknown-linux-musl" 2>/dev/null | xargs -r test -d; then TARGET=$machine-unknown-linux-musl; fi
fi
case $machine in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$machine ;; esac
target_dir=${CARGO_TARGET_DIR:-target}

digest() { sha256sum "$1" | cut -d' ' -f1; }

# blob FILE: moves it below its own name, and prints the name
blob() {
  local sum
  sum=$(digest "$1")
  mv "$1" "$layout/blobs/sha256/$sum"
  echo "$sum"
}

# image NAME PACKAGE BINARY PATH FEATURES: an image with the program at PATH
image() {
  local name=$1 package=$2 binary=$3 path=$4 features=$5 root size layer diff config manifest
  [ -z "$only" ] || [ "$only" = "$name" ] || return 0
  if [ -n "$build" ]; then
    RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" \
      cargo build --locked --profile image --target "$TARGET" --package "$package" --bin "$binary" --features "$features"
  fi
  layout=$out/$name
  rm -rf "$layout"
  mkdir -p "$layout/blobs/sha256"
  root=$(mktemp -d)
  install -D -m 0755 "$target_dir/$TARGET/image/$binary" "$root$path"
  mkdir -p "$root/etc/ssl/certs"
  # the certificates of this machine, for servers with public names
  if [ -f /etc/ssl/certs/ca-certificates.crt ]; then cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi
  echo 'argosy:x:65532:65532::/:/none' > "$root/etc/passwd"
  chmod -R u=rwX,go=rX "$root"
  # the same files give the same image
  tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$layout/layer" .
  rm -rf "$root"
  diff=$(digest "$layout/layer")
  gzip -n "$layout/layer"
  size=$(stat -c %s "$layout/layer.gz")
  layer=$(blob "$layout/layer.gz")
  cat > "$layout/config" <<JSON
{"architecture":"$arch","os":"linux","config":{"User":"65532:65532","Env":["PATH=/usr/local/bin"],"Entrypoint":["$path"]},"rootfs":{"type":"layers","diff_ids":["sha256:$diff"]}}
JSON
  local config_size
  config_size=$(stat -c %s "$layout/config")
  config=$(blob "$layout/config")
  cat > "$layout/manifest" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config","size":$config_size},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:$layer","size":$size}]}
JSON
  local manifest_size
  manifest_size=$(stat -c %s "$layout/manifest")
  manifest=$(blob "$layout/manifest")
  echo '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
  cat > "$layout/index.json" <<JSON
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest","size":$manifest_size,"annotations":{"org.opencontainers.image.ref.name":"$tag"}}]}
JSON
  echo "$layout:$tag: $((size / 1024)) KiB, sha256:$manifest"
  if [ -n "$push" ]; then
    skopeo copy -q --insecure-policy --dest-tls-verify=$tls "oci:$layout:$tag" "docker://$push/$name:$tag"
    echo "pushed $push/$name:$tag"
  fi
}

image executor argosy-executor argosy-executor /argosy s3
image argosy argosy-cli argosy /usr/local/bin/argosy ''
