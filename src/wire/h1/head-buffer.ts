// Collects a head that arrives in pieces. It looks at each new byte once and says when parsing is worth while: at the empty
// line, at a line feed that a strict parser will refuse, or over the limit. So dribbled input costs linear work.

const CR = 13;
const LF = 10;

export class HeadBuffer {
  bytes = new Uint8Array(512);
  length = 0;

  /**
   * Appends source[start, end). Returns true once the parser has something to decide. bytesMax bounds what is kept: of a
   * longer head one byte more than the limit is taken, which is enough for the parser to refuse it.
   */
  append(source: Uint8Array, start: number, end: number, bytesMax: number): boolean {
    const before = this.length;
    const room = this.bytes.length - before;
    if (end - start > room) this.grow(before + end - start);
    this.bytes.set(source.subarray(start, end), before);
    this.length = before + end - start;
    return this.ends(before) || this.length > bytesMax;
  }

  private ends(from: number): boolean {
    const { bytes, length } = this;
    for (let at = from; at < length; at++) {
      if (bytes[at] !== LF) continue;
      if (at === 0 || bytes[at - 1] !== CR) return true; // bare LF
      if (at >= 2 && bytes[at - 2] === LF) return true; // empty line
      if (at === 1 && this.length > 2) continue; // a leading empty line
    }
    return false;
  }

  private grow(atLeast: number): void {
    let size = this.bytes.length * 2;
    while (size < atLeast) size *= 2;
    const wider = new Uint8Array(size);
    wider.set(this.bytes.subarray(0, this.length));
    this.bytes = wider;
  }
}
