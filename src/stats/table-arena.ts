// Gives out regions of the memory that holds the shared tables (Columns.arena). The supervisor owns the book; workers
// are told word offsets by name. A name with its form keeps its region for as long as it exists, through every reload,
// and with it what its table knows. A region whose name is gone is given out again only when no worker can still write
// to it, as with the rows of endpoints.

import { SharedTable, sharedTableWords, type TableShape } from "./shared-table.ts";

/** A table that a configuration needs. Equal names are one table: the name says everything that makes it another. */
export interface TableWish extends TableShape {
  readonly name: string;
  /** Value word w is what worker w has there: to be zeroed when that worker dies. */
  readonly perWorker: boolean;
}

interface Region extends TableWish {
  /** First word, and how many. */
  readonly at: number;
  readonly words: number;
}

interface Leaving {
  readonly region: Region;
  /** The last generation in which the name existed. */
  readonly lastGeneration: number;
}

/** Regions for the tables of a configuration that is about to be applied. Changes nothing until commit(). */
export interface TableProposal {
  readonly regions: ReadonlyMap<string, Region>;
  /** Those that are new; commit() makes them zero. */
  readonly fresh: readonly Region[];
  /** First words by name, for the Plan: what openTable() takes. */
  readonly offsets: Readonly<Record<string, number>>;
}

/** Regions begin at whole pages, so that one that was never used costs no memory beside one that is. */
const PAGE_WORDS = 1024;

export class TableArena {
  private readonly words: Int32Array;
  private current: ReadonlyMap<string, Region> = new Map();
  private leaving: readonly Leaving[] = [];
  /** First word behind everything that was ever given out: beyond it memory is zero and untouched. */
  private usedEnd = 0;

  constructor(arena: Int32Array) {
    this.words = arena;
  }

  /** Regions for these tables, first fit; null when the memory is not enough for all of them. */
  propose(wishes: Iterable<TableWish>): TableProposal | null {
    const regions = new Map<string, Region>();
    const fresh: Region[] = [];
    const taken = this.live();
    for (const wish of wishes) {
      if (regions.has(wish.name)) continue;
      let region = taken.find((known) => isSame(known, wish)) ?? null;
      if (region === null) {
        region = firstFit(taken, wish, this.words.length);
        if (region === null) return null;
        taken.push(region);
        fresh.push(region);
      }
      regions.set(wish.name, region);
    }
    const offsets = Object.fromEntries([...regions].map(([name, { at }]) => [name, at]));
    return { regions, fresh, offsets };
  }

  /** Makes a proposal the present state. generation is the one that was in force until now. */
  commit(proposal: TableProposal, generation: number): void {
    for (const { at, words } of proposal.fresh) {
      if (at < this.usedEnd) this.words.fill(0, at, Math.min(at + words, this.usedEnd));
      this.usedEnd = Math.max(this.usedEnd, at + words);
    }
    const stays = new Set(proposal.regions.values());
    const gone = [...this.current.values()].map((region) => ({ region, lastGeneration: generation }));
    this.leaving = [...this.leaving, ...gone].filter(({ region }) => !stays.has(region));
    this.current = proposal.regions;
  }

  /** No worker holds a generation older than this one any more. */
  retire(oldestGeneration: number): void {
    this.leaving = this.leaving.filter(({ lastGeneration }) => lastGeneration >= oldestGeneration);
  }

  /** Takes off what a worker that is gone had counted in any table. */
  clearWorker(worker: number): void {
    for (const region of this.live()) {
      if (region.perWorker && worker < region.values) openTable(this.words, region.at, region).clearValue(worker);
    }
  }

  /** Regions that somebody may write to. */
  private live(): Region[] {
    return [...this.current.values(), ...this.leaving.map(({ region }) => region)];
  }
}

/** Lays a table over its region of Columns.arena. */
export function openTable(arena: Int32Array, at: number, shape: TableShape): SharedTable {
  return new SharedTable(arena.subarray(at, at + sharedTableWords(shape)), shape);
}

function isSame(region: Region, wish: TableWish): boolean {
  const { name, keys, values, perWorker } = wish;
  return region.name === name && region.keys === keys && region.values === values && region.perWorker === perWorker;
}

function firstFit(taken: readonly Region[], wish: TableWish, end: number): Region | null {
  const words = sharedTableWords(wish);
  let at = 0;
  for (const region of taken.toSorted((a, b) => a.at - b.at)) {
    if (region.at - at >= words) break;
    at = Math.max(at, Math.ceil((region.at + region.words) / PAGE_WORDS) * PAGE_WORDS);
  }
  return end - at >= words ? { ...wish, at, words } : null;
}
