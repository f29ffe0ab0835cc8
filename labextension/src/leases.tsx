import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { Cancel, ChangeSize, Close, UseSmaller } from './actions.js';
import type { IParts, WithLease } from './parts.js';
import { Usage } from './usage.js';
import type { ILease } from './views.js';
import { duration, until, wait } from './wording.js';

/** My kernels that have slices. */
export function Mine(props: IParts): React.JSX.Element {
  const { trans, model, kernels } = props;
  const held = model.held.filter(lease => !kernels.isLoose(lease));
  return (
    <section aria-label={trans.__('My kernels')}>
      <h3>{trans.__('My kernels')}</h3>
      {held.length === 0 ? (
        <p className="jp-mig-soft">
          {model.held.length === 0
            ? trans.__('None of them has a slice.')
            : trans.__('None in a notebook or console has a slice.')}
        </p>
      ) : null}
      <ul>
        {held.map(lease => (
          <Holder key={lease.leaseId} {...props} lease={lease} />
        ))}
      </ul>
    </section>
  );
}

function Holder(props: WithLease): React.JSX.Element {
  const { trans, model, kernels, lease } = props;
  return (
    <li className={`jp-mig-Lease jp-mig-colour-${model.colourOf(lease.leaseId)}`}>
      <div className="jp-mig-Lease-head">
        <span className="jp-mig-dot" aria-hidden="true" />
        <Name {...props} />
        <span className="jp-mig-Lease-where jp-mig-soft">
          <ChangeSize {...props} className="jp-mig-link" text={trans.__('%1 ▾', lease.size)} />
          {lease.slice === null ? '' : trans.__(' · GPU %1', lease.slice.gpuIndex)}
        </span>
        {kernels.isHere(lease) ? <Close {...props} /> : null}
      </div>
      <State {...props} />
      <Usage {...props} />
    </li>
  );
}

function Name(props: WithLease): React.JSX.Element {
  const { trans, kernels, lease } = props;
  const name = kernels.nameOf(lease);
  return kernels.isHere(lease) ? (
    <button
      className="jp-mig-Lease-name jp-mig-link"
      title={trans.__('Go to %1', name)}
      onClick={() => void kernels.goTo(lease)}
    >
      {name}
    </button>
  ) : (
    <span className="jp-mig-Lease-name" title={trans.__('Not started by this server')}>
      {name}
    </span>
  );
}

function State(props: WithLease): React.JSX.Element | null {
  const { trans, model, lease } = props;
  const state = stateOf(trans, lease) || until(trans, model.endOf(lease));
  return state ? <div className="jp-mig-Lease-state jp-mig-soft">{state}</div> : null;
}

function stateOf(trans: TranslationBundle, lease: ILease): string {
  switch (lease.state) {
    case 'creating':
      return trans.__('being made');
    case 'orphaned':
      return trans.__('kept for a restart');
    case 'draining':
    case 'doomed':
      return trans.__('being freed');
    default:
      return '';
  }
}

/** Kernels of this server that hold slices and that no notebook shows. Nothing if there are none. */
export function Loose(props: IParts): React.JSX.Element | null {
  const { trans, model, kernels } = props;
  const loose = model.held.filter(lease => kernels.isLoose(lease));
  return loose.length === 0 ? null : (
    <section aria-label={trans.__('Without a notebook')}>
      <h3>{trans.__('Without a notebook')}</h3>
      <p className="jp-mig-soft">
        {trans.__('These kernels run and hold slices, and no notebook shows them.')}
      </p>
      <ul>
        {loose.map(lease => (
          <LooseOne key={lease.leaseId} {...props} lease={lease} />
        ))}
      </ul>
    </section>
  );
}

function LooseOne(props: WithLease): React.JSX.Element {
  const { trans, model, kernels, lease } = props;
  const name = kernels.nameOf(lease);
  return (
    <li className={`jp-mig-Lease jp-mig-colour-${model.colourOf(lease.leaseId)}`}>
      <div className="jp-mig-Lease-head">
        <span className="jp-mig-dot" aria-hidden="true" />
        <span className="jp-mig-Lease-name">{name}</span>
        <span className="jp-mig-Lease-where jp-mig-soft">
          {trans.__('%1, for %2', lease.size, duration(trans, lease.heldSeconds))}
        </span>
      </div>
      <Usage {...props} />
      <div className="jp-mig-buttons">
        <button
          className="jp-mig-button"
          aria-label={trans.__('Open %1 in a notebook', name)}
          onClick={() => void kernels.reattach(lease)}
        >
          {trans.__('Open in a notebook')}
        </button>
        <button
          className="jp-mig-button"
          aria-label={trans.__('Shut down %1', name)}
          onClick={() => void kernels.shutDown(lease)}
        >
          {trans.__('Shut down')}
        </button>
      </div>
    </li>
  );
}

/** My requests that wait, and how many others do. */
export function Queue(props: IParts): React.JSX.Element {
  const { trans, model } = props;
  const others = (model.overview?.node.waiting ?? 0) - model.waiting.length;
  return (
    <section aria-label={trans.__('Waiting')}>
      <h3>{trans.__('Waiting')}</h3>
      <ul>
        {model.waiting.map(lease => (
          <InLine key={lease.leaseId} {...props} lease={lease} />
        ))}
      </ul>
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

function InLine(props: WithLease): React.JSX.Element {
  const { trans, kernels, lease } = props;
  return (
    <li className="jp-mig-Waiting">
      <div>
        {kernels.nameOf(lease)} · {lease.size}
      </div>
      <div className="jp-mig-Waiting-place">
        <span className="jp-mig-soft" title={lease.overQuota}>
          {wait(trans, lease)}
        </span>
        <span className="jp-mig-buttons">
          <UseSmaller {...props} />
          <Cancel {...props} />
        </span>
      </div>
    </li>
  );
}
