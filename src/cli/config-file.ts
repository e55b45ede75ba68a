// Which configuration file a command means when none is named.

/** In order of preference, relative to the working directory. */
export const defaultConfigFiles = ["./sluice.yaml", "./sluice.config.ts"] as const;

/** The first default file that is there, or a sentence why a file must be named. */
export function findConfigFile(
  exists: (path: string) => boolean,
): { readonly file: string } | { readonly problem: string } {
  const file = defaultConfigFiles.find((candidate) => exists(candidate));
  if (file !== undefined) return { file };
  return { problem: `no file was named, and there is neither ${defaultConfigFiles.join(" nor ")}` };
}
