// Puts the results into docs/benchmarks.md, between two markers.

const BEGIN = "<!-- results:begin -->";
const END = "<!-- results:end -->";

/**
 * The document with everything between the markers replaced. Throws when the markers are not there, once each, in
 * order.
 */
export function replaceResults(document: string, results: string): string {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin || document.indexOf(BEGIN, begin + 1) >= 0 || document.indexOf(END, end + 1) >= 0) {
    throw new Error(`the document needs exactly one ${BEGIN} followed by one ${END}`);
  }
  return `${document.slice(0, begin + BEGIN.length)}\n\n${results.trim()}\n\n${document.slice(end)}`;
}
