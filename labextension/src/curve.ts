/** Curves of the last minutes, as the paths of an SVG. */

/** A value at a time in milliseconds; null: not known. */
export interface IValue {
  readonly at: number;
  readonly value: number | null;
}

/** What is drawn: so many milliseconds up to the newest value, in a box of 100 by 100. */
export interface ICurve {
  readonly spanMs: number;
  readonly line: string;
  /** What is below the line. */
  readonly area: string;
}

/** How much may be shown: the first that holds everything. */
const SPANS_MS = [1, 2, 5].map(minutes => 60_000 * minutes);
const LONGEST_MS = 15 * 60_000;
const COLUMNS = 60;
/** Between values further apart the line is broken. */
const GAP_MS = 75_000;

/** How much time curves of these show: the same for all that was read of a slice. */
export function spanOf(times: readonly { readonly at: number }[]): number {
  const elapsed = endOf(times) - (times[0]?.at ?? 0);
  return SPANS_MS.find(span => span >= elapsed) ?? LONGEST_MS;
}

function endOf(times: readonly { readonly at: number }[]): number {
  return times[times.length - 1]?.at ?? 0;
}

/** null: nothing is known. `most` is drawn at the top. */
export function curve(values: readonly IValue[], most: number): ICurve | null {
  const known = values.flatMap(({ at, value }) => (value === null ? [] : [{ at, value }]));
  if (known.length === 0 || most <= 0) {
    return null;
  }
  const [end, spanMs] = [endOf(values), spanOf(values)];
  const strokes = broken(thinned(known, end, spanMs)).map(stroke =>
    stroke.map(({ at, value }) => ({
      x: round(100 - (100 * (end - at)) / spanMs),
      y: round(100 - 100 * Math.min(1, value / most))
    }))
  );
  return { spanMs, line: strokes.map(lineOf).join(''), area: strokes.map(areaOf).join('') };
}

interface IKnown {
  readonly at: number;
  readonly value: number;
}

/** The greatest of each column: a short peak is what one looks for. The newest stays as it is. */
function thinned(known: readonly IKnown[], end: number, spanMs: number): IKnown[] {
  const columns = new Map<number, IKnown>();
  for (const each of known) {
    const column = Math.ceil((COLUMNS * (end - each.at)) / spanMs);
    const other = columns.get(column);
    if (column <= COLUMNS && (other === undefined || each.value >= other.value || column === 0)) {
      columns.set(column, each);
    }
  }
  return [...columns.values()];
}

/** Strokes without gaps. */
function broken(points: readonly IKnown[]): IKnown[][] {
  const strokes: IKnown[][] = [];
  let before = -Infinity;
  for (const point of points) {
    if (point.at - before > GAP_MS) {
      strokes.push([]);
    }
    strokes[strokes.length - 1]?.push(point);
    before = point.at;
  }
  return strokes;
}

interface ISpot {
  readonly x: number;
  readonly y: number;
}

/** A single one is a short dash, or it would not be seen. */
function lineOf(stroke: readonly ISpot[]): string {
  const [first] = stroke;
  const spots =
    first !== undefined && stroke.length === 1 ? [{ ...first, x: first.x - 2 }, first] : stroke;
  return 'M' + spots.map(({ x, y }) => `${x} ${y}`).join('L');
}

function areaOf(stroke: readonly ISpot[]): string {
  const [first, last] = [stroke[0], stroke[stroke.length - 1]];
  return first === undefined || last === undefined
    ? ''
    : `${lineOf(stroke)}L${last.x} 100L${first.x} 100Z`;
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}
