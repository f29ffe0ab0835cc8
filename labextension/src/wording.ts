/** How things are said, in the user's language. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { ILease, IProblem, IReading } from './views.js';

const GIB = 2 ** 30;

/** "3.2": gibibytes with one digit after the point, ties to even as on the command line. */
export function gibibytes(bytes: number): string {
  const tenths = (bytes / GIB) * 10;
  const below = Math.floor(tenths);
  const nearest = tenths - below === 0.5 ? below + (below % 2) : Math.round(tenths);
  return (nearest / 10).toFixed(1);
}

/** "3.2 of 4.8 GiB"; null where it is not known. */
export function memory(trans: TranslationBundle, reading: IReading | null): string | null {
  if (reading?.memoryUsedBytes == null || reading.memoryTotalBytes === null) {
    return null;
  }
  const [used, total] = [gibibytes(reading.memoryUsedBytes), gibibytes(reading.memoryTotalBytes)];
  return trans.__('%1 of %2 GiB', used, total);
}

export interface IUtilization {
  /** Of what: as people call it. */
  readonly name: string;
  readonly percent: number;
}

const NAMES: Readonly<Record<string, string>> = {
  sm: 'SM',
  graphics: 'graphics',
  tensor: 'tensor',
  dram: 'DRAM'
};

/** How busy the slice is: its SMs where that was measured, else its graphics engine. */
export function utilization(reading: IReading | null): IUtilization | null {
  return measured(reading).find(each => each.name === 'SM' || each.name === 'graphics') ?? null;
}

/** "SM 43 %". */
export function busy({ name, percent }: IUtilization): string {
  return `${name} ${Math.round(percent)} %`;
}

/** "SM 43 %, tensor 12 % (GPM)"; why there is none where there is none. */
export function busyInFull(trans: TranslationBundle, reading: IReading): string {
  const all = measured(reading).map(busy).join(', ');
  if (all) {
    return trans.__('%1 (%2)', all, reading.utilizationSource);
  }
  return reading.utilizationNotAvailable
    ? trans.__('utilization not available: %1', reading.utilizationNotAvailable)
    : trans.__('utilization not available');
}

/** In the order of NAMES, and then what a newer server measures. */
function measured(reading: IReading | null): IUtilization[] {
  const found = Object.entries(reading?.utilization ?? {});
  const order = [...Object.keys(NAMES), ...found.map(([key]) => key)];
  const rank = (key: string): number => order.indexOf(key);
  return found
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([key, percent]) => ({ name: NAMES[key] ?? key, percent }));
}

/** From 0 to 1; null where it is not known. */
export function fullness(reading: IReading | null): number | null {
  if (!reading?.memoryTotalBytes || reading.memoryUsedBytes === null) {
    return null;
  }
  return Math.min(1, reading.memoryUsedBytes / reading.memoryTotalBytes);
}

/** "next in line", "2nd in line". */
export function place(trans: TranslationBundle, place: number): string {
  switch (place) {
    case 1:
      return trans.__('next in line');
    case 2:
      return trans.__('2nd in line');
    case 3:
      return trans.__('3rd in line');
    default:
      return place <= 20 ? trans.__('%1th in line', place) : trans.__('number %1 in line', place);
  }
}

/** "20 s", "5 min", "2 h". */
export function duration(trans: TranslationBundle, seconds: number): string {
  if (seconds < 90) {
    return trans.__('%1 s', Math.max(1, Math.round(seconds)));
  }
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? trans.__('%1 min', minutes) : trans.__('%1 h', Math.round(minutes / 60));
}

/**
 * "2nd in line, about 3 min": the place, and how long if somebody can know. Who waits for himself has
 * no use for a place.
 */
export function wait(trans: TranslationBundle, lease: ILease): string {
  if (lease.overQuota) {
    return trans.__('until one of yours ends');
  }
  const where = place(trans, lease.place ?? 1);
  return lease.estimateSeconds === null
    ? where
    : trans.__('%1, about %2', where, duration(trans, lease.estimateSeconds));
}

/** "16:40", "Thu 16:40": when something of the next days is. */
export function moment(at: Date, now: Date): string {
  const clock = { hour: '2-digit', minute: '2-digit' } as const;
  return at.toDateString() === now.toDateString()
    ? at.toLocaleTimeString([], clock)
    : at.toLocaleString([], { weekday: 'short', ...clock });
}

/** "until 16:40"; empty where no rule ends it. */
export function until(trans: TranslationBundle, end: Date | null): string {
  return end === null ? '' : trans.__('until %1', moment(end, new Date()));
}

/** The problem in the user's words, where it is this page that has it and not the server. */
export function explained(trans: TranslationBundle, problem: IProblem): IProblem {
  switch (problem.kind) {
    case 'server-unreachable':
      return {
        ...problem,
        message: trans.__('The server does not answer.'),
        situation: trans.__('What is shown was so before. (%1)', problem.message),
        nextStep: trans.__('It is asked again and again.')
      };
    case 'server-not-understood':
      return {
        ...problem,
        message: trans.__('This page does not understand the server: %1.', problem.message),
        nextStep: trans.__('The server may be newer. Load the page again.')
      };
    default:
      return problem;
  }
}

/** "2g.10gb · GPU 0"; the size alone where there is no slice yet. */
export function where(trans: TranslationBundle, lease: ILease): string {
  return lease.slice === null
    ? lease.size
    : trans.__('%1 · GPU %2', lease.slice.profile, lease.slice.gpuIndex);
}

/** What the user calls a kernel: its notebook's name without folders. */
export function nameOf(trans: TranslationBundle, label: string): string {
  return label.split('/').pop() || trans.__('a kernel');
}

/** The name as short as it can be: without the ending. */
export function shortNameOf(trans: TranslationBundle, label: string): string {
  return nameOf(trans, label).replace(/\.ipynb\b.*$/, '');
}
