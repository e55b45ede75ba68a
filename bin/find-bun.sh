# Finds the Bun binary that npm installed for this machine; sourced by bin/sluice and tools/bun, never run by itself.
#
# It does not trust node_modules/.bin/bun: that is a placeholder until bun's postinstall script has run, and npm may be told
# not to run scripts (--ignore-scripts, npm 11's default for packages not approved). The platform package holds the binary in
# that case; when the script has run, it has moved the binary to node_modules/bun/bin/bun.exe. Both places are looked at, in
# this package and in every directory above it (hoisted installs), and next to the real bun package (pnpm's layout).
#
# POSIX sh only: no readlink -f, no arrays, no local.

# Sets bun_packages to the names under @oven/ that may run here, the best first. The baseline builds are for processors
# without AVX2; npm installs them only when asked to by name.
find_bun_packages() {
  bun_platform=$(uname -sm)
  case $bun_platform in
    "Linux x86_64")
      bun_packages="bun-linux-x64 bun-linux-x64-baseline"
      bun_musl="bun-linux-x64-musl bun-linux-x64-musl-baseline"
      if ! grep -q ' avx2' /proc/cpuinfo 2>/dev/null; then
        bun_packages="bun-linux-x64-baseline bun-linux-x64"
        bun_musl="bun-linux-x64-musl-baseline bun-linux-x64-musl"
      fi
      bun_glibc_loader=/lib64/ld-linux-x86-64.so.2
      bun_musl_loader=/lib/ld-musl-x86_64.so.1
      ;;
    "Linux aarch64" | "Linux arm64")
      bun_packages="bun-linux-aarch64"
      bun_musl="bun-linux-aarch64-musl"
      bun_glibc_loader=/lib/ld-linux-aarch64.so.1
      bun_musl_loader=/lib/ld-musl-aarch64.so.1
      ;;
    "Darwin arm64") bun_packages="bun-darwin-aarch64" ;;
    "Darwin x86_64")
      bun_packages="bun-darwin-x64 bun-darwin-x64-baseline"
      # A shell translated by Rosetta says x86_64 on an ARM machine.
      if [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then bun_packages="bun-darwin-aarch64 $bun_packages"; fi
      ;;
    *) bun_packages="" ;;
  esac
  case $bun_platform in
    Linux*)
      # npm installs the build for the system's C library only. Where both are there, the loaders tell which one it is.
      if [ -e "$bun_musl_loader" ] && ! [ -e "$bun_glibc_loader" ]; then
        bun_packages="$bun_musl $bun_packages"
      else
        bun_packages="$bun_packages $bun_musl"
      fi
      ;;
  esac
}

# Sets bun to the binary for the package directory $1, or returns 1 after saying what to do.
find_bun() {
  if [ -n "${SLUICE_BUN:-}" ]; then
    bun=$SLUICE_BUN
    if [ -x "$bun" ] && ! [ -d "$bun" ]; then return 0; fi
    echo "sluice: SLUICE_BUN is $bun, which is not an executable file. Unset it, or name a Bun binary." >&2
    return 1
  fi
  find_bun_packages
  bun_above=$1
  while :; do
    bun_modules=${bun_above%/}/node_modules
    for bun_package in $bun_packages; do
      for bun in "$bun_modules/@oven/$bun_package/bin/bun" "$bun_modules/bun/../@oven/$bun_package/bin/bun"; do
        if [ -x "$bun" ]; then return 0; fi
      done
    done
    bun=$bun_modules/bun/bin/bun.exe
    # The placeholder is a few hundred bytes of text, the binary some hundred million bytes.
    if [ -x "$bun" ] && [ "$(wc -c <"$bun")" -gt 1000000 ]; then return 0; fi
    if [ "$bun_above" = "/" ] || [ -z "$bun_above" ]; then break; fi
    bun_above=$(dirname "$bun_above")
  done
  if [ -z "$bun_packages" ]; then
    echo "sluice: Bun has no build for this platform ($bun_platform). Set SLUICE_BUN to a Bun binary of your own." >&2
    return 1
  fi
  echo "sluice: no Bun binary found for this platform ($bun_platform)." >&2
  echo "  Looked for node_modules/@oven/${bun_packages%% *}/bin/bun in $1 and the directories above it." >&2
  echo "  Run 'npm ci' in $1, without --omit=optional (Bun comes as an optional dependency)," >&2
  echo "  or set SLUICE_BUN to a Bun binary." >&2
  return 1
}
