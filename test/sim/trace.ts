// What happened in a run: a hash over everything, the last events for a report, and the first thing that went against
// the rules.

const KEPT = 400;

type Word = string | number;

interface Event {
  readonly atMs: number;
  readonly what: string;
  readonly words: readonly Word[];
}

export interface Violation {
  readonly rule: string;
  readonly detail: string;
  readonly atMs: number;
}

export class Trace {
  /** The first violation; the run ends with it. */
  violation: Violation | null = null;
  /** Prints every event as it happens. */
  readonly print: ((line: string) => void) | null;
  private readonly ring: Event[] = [];
  private next = 0;
  private low = 0x811c9dc5;
  private high = 0x9747b28c;
  private readonly now: () => number;

  constructor(now: () => number, print: ((line: string) => void) | null) {
    this.now = now;
    this.print = print;
  }

  note(what: string, ...words: readonly Word[]): void {
    const event = { atMs: this.now(), what, words };
    this.ring[this.next] = event;
    this.next = (this.next + 1) % KEPT;
    this.mixNumber(event.atMs);
    this.mixText(what);
    for (const word of words) {
      if (typeof word === "number") this.mixNumber(word);
      else this.mixText(word);
    }
    if (this.print !== null) this.print(format(event));
  }

  /** Something that must not be. Only the first counts: what follows from it says little. */
  fail(rule: string, detail: string): void {
    if (this.violation !== null) return;
    this.note("VIOLATION", rule, detail);
    this.violation = { rule, detail, atMs: this.now() };
  }

  /** Two runs with equal hashes were the same run. */
  get hash(): string {
    return (this.high >>> 0).toString(16).padStart(8, "0") + (this.low >>> 0).toString(16).padStart(8, "0");
  }

  /** The last events, oldest first, one a line. */
  get last(): readonly string[] {
    return [...this.ring.slice(this.next), ...this.ring.slice(0, this.next)].map(format);
  }

  private mixText(text: string): void {
    for (let i = 0; i < text.length; i++) this.mix(text.charCodeAt(i));
  }

  private mixNumber(value: number): void {
    const scaled = Math.round(value * 1000);
    this.mix(scaled | 0);
    this.mix(Math.floor(scaled / 0x1_0000_0000) | 0);
  }

  private mix(word: number): void {
    this.low = Math.imul(this.low ^ word, 0x01000193);
    this.high = Math.imul(((this.high << 13) | (this.high >>> 19)) ^ word, 0x85ebca6b) ^ this.low;
  }
}

function format({ atMs, what, words }: Event): string {
  return `${atMs.toFixed(3)} ${what} ${words.join(" ")}`;
}

/** A short hash of bytes, for the trace. */
export function digest(bytes: Uint8Array): number {
  return Bun.hash.crc32(bytes);
}
