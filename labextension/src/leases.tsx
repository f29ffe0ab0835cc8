import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Kernels } from './kernels.js';
import { Meter } from './meter.js';
import type { Model } from './model.js';
import { isWaiting } from './model.js';
import type { ILease } from './views.js';
import { duration, fullness, memory, wait } from './wording.js';

interface IProps {
  readonly trans: TranslationBundle;
  readonly model: Model;
  readonly kernels: Kernels;
}

/** The notebook in front: its slice and how full that is, or its place in line. */
export function InFront(props: IProps & { lease: ILease | null; name: string }): React.JSX.Element {
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
          {trans.__('Its kernel has no GPU. Pick one with a size in the kernel picker.')}
        </p>
      ) : null}
      {lease !== null && !isWaiting(lease) ? <Memory {...props} lease={lease} /> : null}
      {lease !== null && isWaiting(lease) ? <Waiting {...props} lease={lease} /> : null}
    </section>
  );
}

function where(trans: TranslationBundle, lease: ILease): string {
  return lease.slice === null
    ? lease.size
    : trans.__('%1 · GPU %2', lease.slice.profile, lease.slice.gpuIndex);
}

function Memory(props: IProps & { lease: ILease }): React.JSX.Element {
  const { trans, model, lease } = props;
  const reading = model.readingOf(lease);
  const used = memory(trans, reading);
  const share = fullness(reading);
  return (
    <div className={`jp-mig-colour-${model.colourOf(lease.leaseId)}`}>
      <div className="jp-mig-line">
        <span className="jp-mig-soft">{trans.__('Memory')}</span>
        <span className="jp-mig-number">
          {used ?? (reading?.memoryNotAvailable || trans.__('not available'))}
        </span>
      </div>
      {share === null ? null : <Meter fullness={share} label={trans.__('Memory of the slice')} />}
    </div>
  );
}

function Waiting(props: IProps & { lease: ILease }): React.JSX.Element {
  const { trans, lease } = props;
  return (
    <>
      <div className="jp-mig-line">
        <span>{wait(trans, lease)}</span>
        <GivesUp trans={trans} lease={lease} />
      </div>
      <p className="jp-mig-soft">
        {trans.__('Cells run now are queued and run when the slice is there.')}
      </p>
      <Cancel {...props} />
    </>
  );
}

function GivesUp(props: { trans: TranslationBundle; lease: ILease }): React.JSX.Element | null {
  const { trans, lease } = props;
  return lease.givesUpInSeconds === null ? null : (
    <span className="jp-mig-soft jp-mig-number">
      {trans.__('gives up in %1', duration(trans, lease.givesUpInSeconds))}
    </span>
  );
}

function Cancel(props: IProps & { lease: ILease }): React.JSX.Element {
  const { trans, kernels, lease } = props;
  return (
    <button
      className="jp-mig-button"
      title={trans.__('Stop waiting for %1', lease.size)}
      onClick={() => void kernels.cancel(lease)}
    >
      {trans.__('Cancel')}
    </button>
  );
}

/** My kernels that have slices. */
export function Mine(props: IProps): React.JSX.Element {
  const { trans, model } = props;
  return (
    <section aria-label={trans.__('My kernels')}>
      <h3>{trans.__('My kernels')}</h3>
      {model.held.length === 0 ? (
        <p className="jp-mig-soft">{trans.__('None of them has a slice.')}</p>
      ) : null}
      <ul className="jp-mig-Leases">
        {model.held.map(lease => (
          <Holder key={lease.leaseId} {...props} lease={lease} />
        ))}
      </ul>
    </section>
  );
}

function Holder(props: IProps & { lease: ILease }): React.JSX.Element {
  const { trans, model, kernels, lease } = props;
  const reading = model.readingOf(lease);
  const share = fullness(reading);
  const used = memory(trans, reading);
  const name = kernels.nameOf(lease);
  return (
    <li className={`jp-mig-Lease jp-mig-colour-${model.colourOf(lease.leaseId)}`}>
      <span className="jp-mig-dot" aria-hidden="true" />
      <span className="jp-mig-Lease-name">
        {kernels.isHere(lease) ? (
          <button
            className="jp-mig-link"
            title={trans.__('Go to %1', name)}
            onClick={() => void kernels.goTo(lease)}
          >
            {name}
          </button>
        ) : (
          <span title={trans.__('Not started by this server')}>{name}</span>
        )}
        <span className="jp-mig-Lease-slice jp-mig-soft">
          {where(trans, lease)}
          {stateOf(trans, lease)}
        </span>
      </span>
      <span className="jp-mig-Lease-memory jp-mig-soft jp-mig-number">
        {share === null ? null : <Meter fullness={share} label={trans.__('Memory of %1', name)} />}
        {used}
      </span>
      {kernels.isHere(lease) ? (
        <button
          className="jp-mig-button jp-mig-mod-icon"
          title={trans.__('Shut down %1', name)}
          aria-label={trans.__('Shut down %1', name)}
          onClick={() => void kernels.shutDown(lease)}
        >
          ✕
        </button>
      ) : (
        <span />
      )}
    </li>
  );
}

function stateOf(trans: TranslationBundle, lease: ILease): string {
  switch (lease.state) {
    case 'creating':
      return trans.__(' · being made');
    case 'orphaned':
      return trans.__(' · kept for a restart');
    case 'draining':
    case 'doomed':
      return trans.__(' · being freed');
    default:
      return '';
  }
}

/** My requests that wait, and how many others do. */
export function Queue(props: IProps): React.JSX.Element {
  const { trans, model } = props;
  const others = (model.overview?.node.waiting ?? 0) - model.waiting.length;
  return (
    <section aria-label={trans.__('Waiting')}>
      <h3>{trans.__('Waiting')}</h3>
      {model.waiting.map(lease => (
        <div key={lease.leaseId} className="jp-mig-Waiting">
          <div className="jp-mig-line">
            <span>
              {props.kernels.nameOf(lease)} · {lease.size}
            </span>
            <span className="jp-mig-soft">{wait(trans, lease)}</span>
          </div>
          <Cancel {...props} lease={lease} />
        </div>
      ))}
      {others > 0 ? (
        <p className="jp-mig-soft">
          {trans._n('%1 request of somebody else', '%1 requests of other people', others)}
        </p>
      ) : null}
      {others <= 0 && model.waiting.length === 0 ? (
        <p className="jp-mig-soft">{trans.__('Nobody waits.')}</p>
      ) : null}
    </section>
  );
}
