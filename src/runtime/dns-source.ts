// Endpoints from DNS: every address of a name, or its SRV records with the addresses of their targets. Asked again as
// the TTL runs out. A name server that fails says nothing about the endpoints, so the last good answer stays; that
// there are no records is an answer, but one that misconfigured and restarting servers give too, so it is believed only
// when it comes a second time.

import { emptyAnswersMin } from "../base/limits.ts";
import { LogLevel } from "../base/ports.ts";
import type { TimerOwner } from "../base/timer-wheel.ts";
import type { EndpointConfig, ResolveConfig } from "../model/config.ts";
import type { DiscoveryConfig } from "../model/route-config.ts";
import { type DnsRecord, findRecords, RecordType } from "../wire/dns/message.ts";
import type { DnsReply } from "./dns-client.ts";
import { endpointsOfAddresses, endpointsOfServices } from "./service-records.ts";
import { sameEndpoints, type Source, type SourceEnv, type SourceReport } from "./source.ts";

type DnsDiscovery = Extract<DiscoveryConfig, { readonly from: "dns" }>;
type Family = typeof RecordType.A | typeof RecordType.AAAA;

/** What one round of questions came to. */
interface Answer {
  readonly endpoints: readonly EndpointConfig[];
  readonly ttlMs: number | null;
  /** Why a part of it is not fresh; "" if all of it is. */
  readonly trouble: string;
  /** Nothing was fresh: the old list stays. */
  readonly failed: boolean;
}

/** Addresses of a name by family, as they were last heard. */
type Heard = Map<Family, readonly string[]>;

const families: readonly Family[] = [RecordType.A, RecordType.AAAA];

export class DnsSource implements Source, TimerOwner {
  endpoints: readonly EndpointConfig[] = [];
  answered = false;
  private readonly config: DnsDiscovery;
  private readonly resolve: ResolveConfig;
  private readonly env: SourceEnv;
  private readonly timer: number;
  /** Of the name itself, or of each target. */
  private heard = new Map<string, Heard>();
  private trouble = "";
  private goodMs: number | null = null;
  private emptyAnswers = 0;
  private closed = false;

  constructor(config: DnsDiscovery, resolve: ResolveConfig, env: SourceEnv) {
    this.config = config;
    this.resolve = resolve;
    this.env = env;
    this.timer = env.timers.open(this);
    void this.lookUp();
  }

  report(nowMs: number): SourceReport {
    const ageMs = this.goodMs === null ? null : Math.max(0, Math.round(nowMs - this.goodMs));
    const { name } = this.config;
    return { from: "dns", name, endpoints: this.endpoints.length, ageMs, trouble: this.trouble };
  }

  close(): void {
    this.closed = true;
    this.env.timers.close(this.timer);
  }

  onDeadline(): void {
    void this.lookUp();
  }

  private async lookUp(): Promise<void> {
    let answer: Answer;
    try {
      answer = this.config.type === "srv" ? await this.askServices() : await this.askAddresses();
    } catch (error) {
      answer = { endpoints: [], ttlMs: null, trouble: messageOf(error), failed: true };
    }
    if (this.closed) return;
    const changed = answer.failed ? false : this.take(answer);
    if (answer.failed) this.complain(answer.trouble);
    const { minMs, maxMs } = this.resolve;
    const waitMs = this.emptyAnswers > 0 ? minMs : Math.max(minMs, Math.min(answer.ttlMs ?? minMs, maxMs));
    this.env.timers.set(this.timer, this.env.clock.nowMs() + waitMs);
    const first = !this.answered;
    this.answered = true;
    if (changed || first) this.env.onChange();
  }

  /** True if the endpoints are different now. */
  private take({ endpoints, trouble }: Answer): boolean {
    const before = this.endpoints;
    if (endpoints.length > 0) this.emptyAnswers = 0;
    else if (++this.emptyAnswers < emptyAnswersMin && before.length > 0) {
      this.complain("no records, for the first time");
      return false;
    }
    this.goodMs = this.env.clock.nowMs();
    const changed = !sameEndpoints(endpoints, before);
    if (changed) this.endpoints = endpoints;
    if (endpoints.length === 0) this.complain("no records");
    else if (trouble !== "") this.complain(trouble);
    else if (this.trouble !== "") {
      this.trouble = "";
      this.env.record(LogLevel.Info, "discovery works again", { from: "dns", name: this.config.name });
    }
    return changed;
  }

  /** Equal complaints are made once. */
  private complain(trouble: string): void {
    if (this.trouble === trouble) return;
    this.trouble = trouble;
    const { name, type } = this.config;
    const fields = { from: "dns", name, type, reason: trouble, keeping: this.endpoints.length };
    this.env.record(LogLevel.Warn, "discovery has trouble", fields);
  }

  private async askAddresses(): Promise<Answer> {
    const { name, port } = this.config;
    const { addresses, ttlMs, trouble, failed } = await this.addressesOf(name, []);
    return { endpoints: endpointsOfAddresses(addresses, port), ttlMs, trouble, failed };
  }

  private async askServices(): Promise<Answer> {
    const reply = await this.env.host.ask({ name: this.config.name, type: RecordType.SRV }, this.resolve.servers);
    const { records, ttl } = findRecords(reply.answers, reply.name, RecordType.SRV);
    const targets = [...new Set(records.map(({ target }) => target))].filter((target) => target !== "");
    const found = new Map(
      await Promise.all(
        targets.map(async (target) => [target, await this.addressesOf(target, reply.additional)] as const),
      ),
    );
    for (const target of this.heard.keys()) if (!found.has(target)) this.heard.delete(target);
    const endpoints = endpointsOfServices(records, (target) => found.get(target)?.addresses ?? []);
    const answers = [...found.values()];
    const ttls = [ttl === null ? null : ttl * 1000, ...answers.map(({ ttlMs }) => ttlMs)].filter((ms) => ms !== null);
    const trouble = answers.find((answer) => answer.trouble !== "")?.trouble ?? "";
    const failed = endpoints.length === 0 && answers.some((answer) => answer.failed);
    return { endpoints, ttlMs: ttls.length === 0 ? null : Math.min(...ttls), trouble, failed };
  }

  /**
   * Every address of a name: known ones, those that came along, or those that name servers give for both families. A
   * family about which the servers failed keeps what was heard of it last. failed: nothing was heard now or ever.
   */
  private async addressesOf(
    name: string,
    additional: readonly DnsRecord[],
  ): Promise<Omit<Answer, "endpoints"> & { readonly addresses: readonly string[] }> {
    const known = this.env.host.knownAddresses(name);
    if (known.length > 0) return { addresses: known, ttlMs: null, trouble: "", failed: false };
    const brought = families.map((family) => findRecords(additional, name, family));
    const heard: Heard = this.heard.get(name) ?? new Map();
    this.heard.set(name, heard);
    const results = brought.some(({ records }) => records.length > 0)
      ? brought.map(({ records, ttl }) => ({ records, ttl, trouble: "" }))
      : await Promise.all(families.map((family) => this.askFamily(name, family)));
    for (const [i, { records, trouble }] of results.entries()) {
      if (trouble !== "") continue;
      heard.set(
        families[i]!,
        records.map(({ address }) => address),
      );
    }
    const ttls = results.map(({ ttl }) => ttl).filter((ttl) => ttl !== null);
    const addresses = families.flatMap((family) => heard.get(family) ?? []);
    const trouble = results.find((result) => result.trouble !== "")?.trouble ?? "";
    // Half an answer is one as long as there is something in it, or something older to put beside it.
    const failed = results.every((result) => result.trouble !== "") || (trouble !== "" && addresses.length === 0);
    return { addresses, ttlMs: ttls.length === 0 ? null : Math.min(...ttls) * 1000, trouble, failed };
  }

  private async askFamily(
    name: string,
    type: Family,
  ): Promise<ReturnType<typeof findRecords<Family>> & { readonly trouble: string }> {
    let reply: DnsReply;
    try {
      reply = await this.env.host.ask({ name, type }, this.resolve.servers);
    } catch (error) {
      return { records: [], ttl: null, trouble: messageOf(error) };
    }
    return { ...findRecords(reply.answers, reply.name, type), trouble: "" };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
