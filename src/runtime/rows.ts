// Gives out the rows of the shared columns. A name keeps its row for as long as it exists, through every reload. A row
// whose name is gone is given out again only when no worker can still write to it: a request of an old generation may
// outlive the reload that removed its endpoint.

/** Rows for the names of a configuration that is about to be applied. Changes nothing until commit(). */
export interface RowProposal {
  readonly rows: ReadonlyMap<string, number>;
  /** Rows whose name is new: they must be cleared before anybody uses them. */
  readonly fresh: readonly number[];
}

interface Leaving {
  readonly row: number;
  /** The last generation in which the name existed. */
  readonly lastGeneration: number;
}

export class RowTable {
  private readonly size: number;
  private current: ReadonlyMap<string, number> = new Map();
  private readonly leaving = new Map<string, Leaving>();
  private readonly free: number[] = [];
  private used = 0;

  constructor(size: number) {
    this.size = size;
  }

  /** Rows in use, in the present configuration, by name. */
  get rows(): ReadonlyMap<string, number> {
    return this.current;
  }

  /** Every row that may hold live numbers: those in use and those that an old generation may still write. */
  *live(): Iterable<number> {
    yield* this.current.values();
    for (const { row } of this.leaving.values()) yield row;
  }

  /** Rows for these names; null when there are not enough. A name that left a moment ago gets its old row back. */
  propose(names: Iterable<string>): RowProposal | null {
    const rows = new Map<string, number>();
    const fresh: number[] = [];
    let nextFree = this.free.length - 1;
    let nextUnused = this.used;
    for (const name of names) {
      const known = this.current.get(name) ?? this.leaving.get(name)?.row;
      if (known !== undefined) rows.set(name, known);
      else {
        const row = nextFree >= 0 ? this.free[nextFree--]! : nextUnused++;
        if (row >= this.size) return null;
        rows.set(name, row);
        fresh.push(row);
      }
    }
    return { rows, fresh };
  }

  /** Makes a proposal the present state. generation is the one that was in force until now. */
  commit(proposal: RowProposal, generation: number): void {
    for (const [name, row] of this.current) {
      if (!proposal.rows.has(name)) this.leaving.set(name, { row, lastGeneration: generation });
    }
    // Not only the fresh ones: a leaving row that the proposal counts on may have become free since it was made.
    const taken = new Set(proposal.rows.values());
    const stillFree = this.free.filter((row) => !taken.has(row));
    this.free.length = 0;
    this.free.push(...stillFree);
    for (const [name, row] of proposal.rows) {
      this.leaving.delete(name);
      this.used = Math.max(this.used, row + 1);
    }
    this.current = proposal.rows;
  }

  /**
   * No worker holds a generation older than this one any more: rows that only older ones knew may be given out again,
   * and so may those of which isQuiet knows that nobody will write to them, whoever still holds what generation.
   */
  retire(
    oldestGeneration: number,
    isQuiet: (name: string, row: number, lastGeneration: number) => boolean = () => false,
  ): void {
    for (const [name, { row, lastGeneration }] of this.leaving) {
      if (lastGeneration >= oldestGeneration && !isQuiet(name, row, lastGeneration)) continue;
      this.leaving.delete(name);
      this.free.push(row);
    }
  }
}
