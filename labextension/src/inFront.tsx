import * as React from 'react';

import { Cancel, ChangeSize, UseSmaller } from './actions.js';
import { freeFor } from './choices.js';
import { spanOf } from './curve.js';
import { Meter } from './meter.js';
import { isWaiting } from './model.js';
import type { IParts, WithLease } from './parts.js';
import { BusyCurve, MemoryCurve } from './usage.js';
import type { ILease, IReading, ISize } from './views.js';
import {
  busyInFull,
  duration,
  fullness,
  memory,
  until,
  utilization,
  wait,
  where
} from './wording.js';

/** The notebook in front: its slice and what it does there, or its place in line. */
export function InFront(props: IParts & { lease: ILease | null; name: string }): React.JSX.Element {
  const { trans, lease, name } = props;
  return (
    <section aria-label={trans.__('This notebook')}>
      <h3>{trans.__('This notebook')}</h3>
      <div className="jp-mig-line">
        <b>{name}</b>
        <span className="jp-mig-soft">
          {lease === null ? trans.__('no slice') : where(trans, lease)}
        </span>
      </div>
      {lease === null ? (
        <p className="jp-mig-soft">
          {trans.__('It has no GPU. The button in its toolbar gets it one.')}
        </p>
      ) : isWaiting(lease) ? (
        <Waiting {...props} lease={lease} />
      ) : (
        <Held {...props} lease={lease} />
      )}
    </section>
  );
}

function Held(props: WithLease): React.JSX.Element {
  const { trans, model, kernels, lease } = props;
  const reading = model.readingOf(lease);
  return (
    <div className={`jp-mig-colour-${model.colourOf(lease.leaseId)}`}>
      <End {...props} />
      <Memory {...props} reading={reading} />
      <Busy {...props} reading={reading} />
      <Processes {...props} reading={reading} />
      <FillingUp {...props} reading={reading} />
      <div className="jp-mig-buttons">
        <ChangeSize {...props} className="jp-mig-button" text={trans.__('Change size ▾')} />
        {kernels.isHere(lease) ? (
          <button className="jp-mig-button" onClick={() => void kernels.shutDown(lease)}>
            {trans.__('Shut down')}
          </button>
        ) : null}
      </div>
    </div>
  );
}

/** Until when a rule lets it be had; nothing where none ends it. */
function End(props: WithLease): React.JSX.Element | null {
  const { trans, model, lease } = props;
  const end = until(trans, model.endOf(lease));
  return end ? (
    <div className="jp-mig-line" title={trans.__('Its kernel ends with it, by %1.', lease.rule)}>
      <span className="jp-mig-soft">{trans.__('Yours')}</span>
      <span className="jp-mig-number">{end}</span>
    </div>
  ) : null;
}

type WithReading = WithLease & { readonly reading: IReading | null };

function Memory(props: WithReading): React.JSX.Element {
  const { trans, reading } = props;
  const share = fullness(reading);
  return (
    <>
      <div className="jp-mig-line">
        <span className="jp-mig-soft">{trans.__('Memory')}</span>
        <span className="jp-mig-number">{memory(trans, reading) ?? trans.__('not available')}</span>
      </div>
      {share === null ? (
        <Why text={reading?.memoryNotAvailable} />
      ) : (
        <>
          <Meter fullness={share} label={trans.__('Memory of the slice')} />
          <MemoryCurve {...props} />
          <Span {...props} />
        </>
      )}
    </>
  );
}

function Busy(props: WithReading): React.JSX.Element {
  const { trans, reading } = props;
  const now = utilization(reading);
  return (
    <>
      <div className="jp-mig-line" title={reading === null ? '' : busyInFull(trans, reading)}>
        <span className="jp-mig-soft">
          {now === null || reading === null
            ? trans.__('Utilization')
            : trans.__('Utilization (%1, %2)', now.name, reading.utilizationSource)}
        </span>
        <span className="jp-mig-number">
          {now === null ? trans.__('not available') : trans.__('%1 %', Math.round(now.percent))}
        </span>
      </div>
      {now === null ? (
        <Why text={reading?.utilizationNotAvailable} />
      ) : (
        <>
          <BusyCurve {...props} />
          <Span {...props} />
        </>
      )}
    </>
  );
}

/** How much time the curve above shows. */
function Span(props: WithLease): React.JSX.Element {
  const { trans, model, history, lease } = props;
  const seconds = spanOf(history.pointsOf(lease)) / 1_000;
  return (
    <div className="jp-mig-Sparkline-span jp-mig-soft" aria-hidden="true">
      <span>{trans.__('%1 ago', duration(trans, seconds))}</span>
      <span>{model.problem === null ? trans.__('now') : trans.__('last read')}</span>
    </div>
  );
}

function Processes(props: WithReading): React.JSX.Element | null {
  const { trans, reading } = props;
  return reading?.processes == null ? null : (
    <div className="jp-mig-line">
      <span className="jp-mig-soft">{trans.__('CUDA processes')}</span>
      <span className="jp-mig-number">{reading.processes}</span>
    </div>
  );
}

function Why(props: { text: string | undefined }): React.JSX.Element | null {
  return props.text ? <p className="jp-mig-soft jp-mig-why">{props.text}</p> : null;
}

/** From so full on, the next size is named. */
const NEARLY = 0.9;

function FillingUp(props: WithReading): React.JSX.Element | null {
  const { trans, model, lease, reading } = props;
  if ((fullness(reading) ?? 0) < NEARLY) {
    return null;
  }
  const larger = nextLarger(model.overview?.node.sizes ?? [], lease);
  return (
    <p className="jp-mig-problem">
      {trans.__('Nearly full.')}{' '}
      {larger === null
        ? trans.__('No larger size is free.')
        : trans.__('%1 is free: %2 GiB.', larger.size, Math.round(larger.memoryBytes / 2 ** 30))}
    </p>
  );
}

function nextLarger(sizes: readonly ISize[], lease: ILease): ISize | null {
  const own = lease.slice?.memoryBytes ?? Infinity;
  const larger = sizes.filter(size => freeFor(size, lease) > 0 && size.memoryBytes > own);
  return larger.sort((a, b) => a.memoryBytes - b.memoryBytes)[0] ?? null;
}

function Waiting(props: WithLease): React.JSX.Element {
  const { trans, lease } = props;
  return (
    <>
      <div className="jp-mig-line">
        <span title={wait(trans, lease)}>{wait(trans, lease)}</span>
        {lease.overQuota ? null : <Patience {...props} />}
      </div>
      {lease.overQuota ? (
        <>
          <p className="jp-mig-problem">{lease.overQuota}</p>
          <Patience {...props} />
        </>
      ) : null}
      <p className="jp-mig-soft">
        {trans.__('Cells run now are queued and run when the slice is there.')}
      </p>
      <div className="jp-mig-buttons">
        <UseSmaller {...props} />
        <Cancel {...props} />
      </div>
    </>
  );
}

function Patience(props: WithLease): React.JSX.Element | null {
  const { trans, lease } = props;
  return lease.givesUpInSeconds === null ? null : (
    <span className="jp-mig-soft jp-mig-number">
      {trans.__('gives up in %1', duration(trans, lease.givesUpInSeconds))}
    </span>
  );
}
