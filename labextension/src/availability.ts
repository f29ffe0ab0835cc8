/** What is said of a size: how much it is, and whether it could be had now. */
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IChoice } from './choices.js';
import { gibibytes } from './wording.js';

/** "4.8 GiB", "4.8 GiB · 14 SM". */
export function extent(trans: TranslationBundle, choice: IChoice): string {
  const memory = trans.__('%1 GiB', gibibytes(choice.memoryBytes));
  return choice.count === null
    ? memory
    : trans.__('%1 · %2 SM', memory, choice.count.multiprocessors);
}

/** "2 of 7 free"; empty where nobody can count it. */
export function availability(trans: TranslationBundle, choice: IChoice): string {
  if (choice.count === null) {
    return '';
  }
  const { free, total } = choice.count;
  if (total === 0) {
    return trans.__('not on this node now');
  }
  return free === 0 ? trans.__('none free now') : trans.__('%1 of %2 free', free, total);
}

/** For a line of its own: "4.8 GiB · 2 of 7 free", "4.8 GiB · none free now: would wait". */
export function inLine(trans: TranslationBundle, choice: IChoice): string {
  const memory = trans.__('%1 GiB', gibibytes(choice.memoryBytes));
  const isFull = choice.count !== null && choice.count.free === 0 && choice.count.total > 0;
  const free = isFull ? trans.__('none free now: would wait') : availability(trans, choice);
  return [memory, free].filter(Boolean).join(' · ');
}
