/** What is said of a size: how much it is, and whether it could be had now. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IChoice } from './choices.js';
import { freeFor, isOverQuota } from './choices.js';
import type { ILease } from './views.js';
import { gibibytes } from './wording.js';

/** "4.8 GiB", "4.8 GiB · 14 SM". */
export function extent(trans: TranslationBundle, choice: IChoice): string {
  const memory = trans.__('%1 GiB', gibibytes(choice.memoryBytes));
  return choice.count === null
    ? memory
    : trans.__('%1 · %2 SM', memory, choice.count.multiprocessors);
}

/**
 * "2 of 7 free", "at your limit"; empty where nobody can count it. For a kernel that has a slice, it
 * is as it would be without that.
 */
export function availability(
  trans: TranslationBundle,
  choice: IChoice,
  lease: ILease | null = null
): string {
  const { count } = choice;
  if (count === null) {
    return '';
  }
  if (count.notAllowed) {
    return trans.__('not allowed by %1', count.notAllowed);
  }
  const [free, total] = [freeFor(count, lease), count.total];
  if (total === 0) {
    return trans.__('not on this node now');
  }
  if (isOverQuota(count, lease)) {
    return trans.__('at your limit');
  }
  return free === 0 ? trans.__('none free now') : trans.__('%1 of %2 free', free, total);
}

/**
 * For a line of its own: "4.8 GiB · 2 of 7 free", "4.8 GiB · none free now: would wait",
 * "4.8 GiB · you hold 1 of 1 slices allowed: would wait".
 */
export function inLine(trans: TranslationBundle, choice: IChoice): string {
  const memory = trans.__('%1 GiB', gibibytes(choice.memoryBytes));
  return [memory, wouldWait(trans, choice) || availability(trans, choice)]
    .filter(Boolean)
    .join(' · ');
}

/** Why one would wait for it; empty: one would not, or would in vain. */
function wouldWait(trans: TranslationBundle, { count }: IChoice): string {
  if (count === null || count.free > 0 || count.total === 0 || count.notAllowed) {
    return '';
  }
  return count.overQuota
    ? trans.__('%1: would wait', count.overQuota)
    : trans.__('none free now: would wait');
}
