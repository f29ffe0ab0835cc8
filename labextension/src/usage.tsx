/** How a slice's memory and utilization are and were. */
import * as React from 'react';

import type { IValue } from './curve.js';
import type { IPoint } from './history.js';
import type { WithLease } from './parts.js';
import { Sparkline } from './sparkline.js';
import { busy, memory, utilization } from './wording.js';

/** The memory of the last minutes. */
export function MemoryCurve(props: WithLease): React.JSX.Element {
  const { trans, model, history, kernels, lease } = props;
  const points = history.pointsOf(lease);
  const values = React.useMemo(() => valuesOf(points, point => point.memoryUsedBytes), [points]);
  const most = model.readingOf(lease)?.memoryTotalBytes ?? lease.slice?.memoryBytes ?? 0;
  const label = trans.__('Memory of %1', kernels.nameOf(lease));
  return <Sparkline trans={trans} label={label} values={values} most={most} />;
}

/** The utilization of the last minutes. */
export function BusyCurve(props: WithLease): React.JSX.Element {
  const { trans, history, kernels, lease } = props;
  const points = history.pointsOf(lease);
  const values = React.useMemo(() => valuesOf(points, point => point.utilization), [points]);
  const label = trans.__('Utilization of %1', kernels.nameOf(lease));
  return <Sparkline trans={trans} label={label} values={values} most={100} />;
}

function valuesOf(points: readonly IPoint[], pick: (point: IPoint) => number | null): IValue[] {
  return points.map(point => ({ at: point.at, value: pick(point) }));
}

/** Both in one line, with numbers. */
export function Usage(props: WithLease): React.JSX.Element {
  const { trans, model, lease } = props;
  const reading = model.readingOf(lease);
  const used = memory(trans, reading);
  const now = utilization(reading);
  return (
    <div
      className={`jp-mig-Usage jp-mig-soft jp-mig-number${now === null ? ' jp-mig-mod-memory' : ''}`}
    >
      {used === null ? (
        <span>{reading?.memoryNotAvailable || trans.__('memory not available')}</span>
      ) : (
        <>
          <MemoryCurve {...props} />
          <span>{used}</span>
        </>
      )}
      {now === null ? null : (
        <>
          <BusyCurve {...props} />
          <span className="jp-mig-busy">{busy(now)}</span>
        </>
      )}
    </div>
  );
}
