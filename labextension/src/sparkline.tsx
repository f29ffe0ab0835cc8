import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IValue } from './curve.js';
import { curve } from './curve.js';
import { duration } from './wording.js';

interface IProps {
  readonly trans: TranslationBundle;
  /** What it shows, as a screen reader says it: the numbers stand beside it. */
  readonly label: string;
  readonly values: readonly IValue[];
  readonly most: number;
}

/** How a value was in the last minutes. It ends at the newest one, and so stands still without news. */
export function Sparkline(props: IProps): React.JSX.Element | null {
  const { trans, values, most } = props;
  const drawn = React.useMemo(() => curve(values, most), [values, most]);
  if (drawn === null) {
    return <span className="jp-mig-Sparkline" />;
  }
  const label = trans.__('%1, last %2', props.label, duration(trans, drawn.spanMs / 1_000));
  return (
    <svg
      className="jp-mig-Sparkline"
      viewBox="0 0 100 100"
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <path className="jp-mig-Sparkline-area" d={drawn.area} />
      <path className="jp-mig-Sparkline-line" d={drawn.line} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
