/** What can be done about a kernel, as buttons. */
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { WithLease } from './parts.js';

/** Opens the menu of sizes; only the text where sizes cannot be changed. */
export function ChangeSize(
  props: WithLease & { className: string; text: string }
): React.JSX.Element {
  const { trans, kernels, sizing, lease, className, text } = props;
  const subject = sizing?.subjectOf(lease) ?? null;
  if (sizing === null || subject === null) {
    return <span>{lease.size}</span>;
  }
  const target = sizing.switcher.targetOf(lease.kernelId);
  const label = trans.__('Change the size of %1', kernels.nameOf(lease));
  return (
    <button
      className={className}
      title={label}
      aria-label={trans.__('%1: %2', label, lease.size)}
      aria-haspopup="menu"
      disabled={target !== null}
      onClick={event => sizing.openMenu(subject, event.currentTarget)}
    >
      {target === null ? text : trans.__('%1 → %2', lease.size, target)}
    </button>
  );
}

/** Stop waiting. */
export function Cancel(props: WithLease): React.JSX.Element {
  const { trans, kernels, lease } = props;
  const title = trans.__('Stop waiting for %1: %2', lease.size, kernels.nameOf(lease));
  return (
    <button
      className="jp-mig-button"
      title={title}
      aria-label={trans.__('Cancel. %1', title)}
      onClick={() => void kernels.cancel(lease)}
    >
      {trans.__('Cancel')}
    </button>
  );
}

/** Of one that waits: have what is free now. Nothing where nothing smaller is. */
export function UseSmaller(props: WithLease): React.JSX.Element | null {
  const { trans, sizing, lease } = props;
  const choice = sizing?.smallerNow(lease) ?? null;
  return sizing === null || choice === null ? null : (
    <button
      className="jp-mig-button"
      title={trans.__('Start on %1, which is free, and wait no longer', choice.name)}
      onClick={() => void sizing.useSmaller(lease)}
    >
      {trans.__('Use %1 now', choice.name)}
    </button>
  );
}

/** Shut the kernel down, as a cross. */
export function Close(props: WithLease): React.JSX.Element {
  const { trans, kernels, lease } = props;
  const title = trans.__('Shut down %1', kernels.nameOf(lease));
  return (
    <button
      className="jp-mig-button jp-mig-mod-icon"
      title={title}
      aria-label={title}
      onClick={() => void kernels.shutDown(lease)}
    >
      <closeIcon.react tag="span" />
    </button>
  );
}
