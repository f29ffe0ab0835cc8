import type { TranslationBundle } from '@jupyterlab/translation';

import type { History } from './history.js';
import type { Kernels } from './kernels.js';
import type { Model } from './model.js';
import type { Sizing } from './sizing.js';
import type { ILease } from './views.js';

/** What the parts of the panel are made of. */
export interface IParts {
  readonly trans: TranslationBundle;
  readonly model: Model;
  readonly history: History;
  readonly kernels: Kernels;
  /** null: sizes are not changed here. */
  readonly sizing: Sizing | null;
}

export type WithLease = IParts & { readonly lease: ILease };
