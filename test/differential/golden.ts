// The table of disagreements as a file: a line with the versions it was made with, then a block for each byte string of
// which nginx or HAProxy make something else than Sluice, with a reason that a person has written.

/** One disagreement. */
export interface Disagreement {
  readonly name: string;
  /** JSON of the byte string. */
  readonly bytes: string;
  /** Program to outcome. */
  readonly outcomes: Readonly<Record<string, string>>;
  readonly why: string;
}

export interface Golden {
  readonly versions: string;
  readonly disagreements: readonly Disagreement[];
}

const WIDTH = 9;

/** Reads the file's text. Throws on a line that is none of the format. */
export function readGolden(text: string): Golden {
  const [versions = "", ...blocks] = text.trimEnd().split("\n\n");
  const disagreements = blocks.map((block) => {
    const [name = "", ...lines] = block.split("\n");
    const pairs = lines.map((line): readonly [string, string] => {
      const match = /^ {2}(\w+) +(.*)$/.exec(line);
      if (match === null) throw new Error(`not a line of a golden block: ${line}`);
      return [match[1]!, match[2]!];
    });
    const { bytes = "", why = "", ...outcomes } = Object.fromEntries(pairs) as Record<string, string>;
    return { name, bytes, outcomes, why };
  });
  return { versions, disagreements };
}

export function writeGolden({ versions, disagreements }: Golden): string {
  const blocks = disagreements.map(({ name, bytes, outcomes, why }) => {
    const pairs = [["bytes", bytes], ...Object.entries(outcomes), ["why", why]] as const;
    return [name, ...pairs.map(([key, value]) => `  ${key.padEnd(WIDTH)}${value}`)].join("\n");
  });
  return `${[versions, ...blocks].join("\n\n")}\n`;
}

/** Outcomes that differ only in how something is refused are the same. */
export function disagree(outcomes: readonly string[]): boolean {
  const plain = outcomes.map((outcome) => outcome.replaceAll(/refused \d+|closed/g, "refused"));
  return plain.some((outcome) => outcome !== plain[0]);
}
