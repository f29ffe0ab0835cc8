import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IBlock } from './geometry.js';
import { blocks, freeShare, isPlaced, startable, unitsOf } from './geometry.js';
import type { Model } from './model.js';
import type { IParts } from './parts.js';
import type { IGpu, ILease, INode, ISize } from './views.js';
import { gibibytes, nameOf, shortNameOf } from './wording.js';

/** The GPUs of the node, drawn to scale, and what is free of each size. */
export function Gpus(props: IParts): React.JSX.Element {
  const { trans, model } = props;
  const overview = model.overview;
  if (overview === null) {
    return <></>;
  }
  const { node, readingsNotAvailable } = overview;
  return (
    <section aria-label={trans.__('GPUs on this node')}>
      <h3>{trans.__('GPUs on this node')}</h3>
      {node.gpus.length === 0 ? <p>{trans.__('There is no GPU on this node.')}</p> : null}
      {node.gpus.map(gpu => (
        <Gpu key={gpu.uuid} gpu={gpu} node={node} {...props} />
      ))}
      <Sizes trans={trans} sizes={node.sizes.filter(size => !size.notAllowed)} />
      <Allowance trans={trans} node={node} />
      {readingsNotAvailable ? (
        <p className="jp-mig-soft">
          {trans.__('What they do could not be read: %1', readingsNotAvailable)}
        </p>
      ) : null}
    </section>
  );
}

function Gpu(props: IParts & { gpu: IGpu; node: INode }): React.JSX.Element {
  const { trans, gpu } = props;
  const total = Number(gibibytes(gpu.memoryBytes));
  const free = Math.round(total * freeShare(gpu));
  const units = unitsOf(gpu);
  const title = trans.__('GPU %1, drawn as its %2 units of memory', gpu.index, units);
  return (
    <div className="jp-mig-Gpu">
      <div className="jp-mig-line jp-mig-soft">
        <span>
          {gpu.index} · {gpu.name.replace(/^NVIDIA /, '')}
        </span>
        <span className="jp-mig-number">
          {trans.__('%1 of %2 GiB free', free, Math.round(total))}
        </span>
      </div>
      <ul
        className="jp-mig-Gpu-units"
        aria-label={title}
        style={{ gridTemplateColumns: `repeat(${units}, minmax(0, 1fr))` }}
      >
        {blocks(gpu).map(block => (
          <Block key={block.start} {...props} block={block} />
        ))}
      </ul>
      <Shared {...props} />
      <Remarks gpu={gpu} />
      {isPlaced(gpu) ? null : (
        <p className="jp-mig-soft">
          {trans.__('Where on the GPU they are is not known here: only their sizes are to scale.')}
        </p>
      )}
    </div>
  );
}

/** Power and temperature, which all slices of the GPU share. */
function Shared(props: IParts & { gpu: IGpu }): React.JSX.Element | null {
  const { trans, model, gpu } = props;
  const reading = model.gpuReadingOf(gpu);
  const parts = [
    reading?.powerWatts == null ? '' : trans.__('%1 W', Math.round(reading.powerWatts)),
    reading?.temperatureCelsius == null
      ? ''
      : trans.__('%1 °C', Math.round(reading.temperatureCelsius))
  ].filter(Boolean);
  if (reading === null || (parts.length === 0 && !reading.notAvailable)) {
    return null;
  }
  return (
    <p className="jp-mig-Gpu-shared jp-mig-soft jp-mig-number">
      {parts.length === 0
        ? trans.__('Power and temperature not available: %1', reading.notAvailable)
        : trans.__('%1, shared by all slices', parts.join(' · '))}
    </p>
  );
}

/** What is wrong with the GPU, what to do about it, and what else there is to know. */
function Remarks(props: { gpu: IGpu }): React.JSX.Element {
  const { problem, nextStep, notes } = props.gpu;
  return (
    <>
      {problem ? (
        <div className="jp-mig-problem">
          <p>{problem}</p>
          {nextStep ? <p>{nextStep}</p> : null}
        </div>
      ) : null}
      {notes.map(note => (
        <p key={note} className="jp-mig-soft">
          {note}
        </p>
      ))}
    </>
  );
}

function Block(props: IParts & { gpu: IGpu; node: INode; block: IBlock }): React.JSX.Element {
  const { block, kernels, model } = props;
  const said = inWords(props.trans, props, block);
  const column = { gridColumn: `${block.start + 1} / span ${block.width}` };
  const lease = leaseOn(model, block);
  const lines = (
    <>
      <span>{said.first}</span>
      <span>{said.second}</span>
    </>
  );
  const colour = lease === null ? '' : ` jp-mig-colour-${model.colourOf(lease.leaseId)}`;
  return (
    <li className={`jp-mig-Block jp-mig-mod-${block.kind}${colour}`} style={column}>
      {lease !== null && kernels.isHere(lease) ? (
        <button title={said.title} aria-label={said.title} onClick={() => void kernels.goTo(lease)}>
          {lines}
        </button>
      ) : (
        <div title={said.title} aria-label={said.title} role="img">
          {lines}
        </div>
      )}
    </li>
  );
}

function leaseOn(model: Model, block: IBlock): ILease | null {
  const leaseId = block.instance?.leaseId ?? null;
  return model.leases.find(lease => lease.leaseId === leaseId) ?? null;
}

interface IWords {
  readonly first: string;
  readonly second: string;
  readonly title: string;
}

/** A block in two short lines, and in a sentence. */
function inWords(trans: TranslationBundle, on: { gpu: IGpu; node: INode }, block: IBlock): IWords {
  const profile = block.instance?.profile ?? '';
  const short = block.width === 1 ? (profile.split('.')[0] ?? profile) : profile;
  switch (block.kind) {
    case 'mine': {
      const label = block.instance?.label ?? '';
      const title = trans.__('%1: %2, yours', nameOf(trans, label), profile);
      return { first: shortNameOf(trans, label), second: short, title };
    }
    case 'others': {
      const title = trans.__('%1: in use by somebody else', profile);
      return { first: block.width > 2 ? trans.__('in use') : '', second: short, title };
    }
    case 'changing': {
      const title = trans.__('%1: being made or cleared', profile);
      return { first: '…', second: short, title };
    }
    case 'stuck': {
      const title = trans.__('%1: will not clear; jupyter mig doctor says why', profile);
      return { first: trans.__('stuck'), second: short, title };
    }
    case 'kept':
      return {
        first: trans.__('kept'),
        second: '',
        title: trans.__('Kept for a request in line')
      };
    case 'free':
      return block.sizes.length === 0
        ? forNobody(trans, on.gpu)
        : free(trans, block, startable(block, on.node), on.node);
  }
}

function forNobody(trans: TranslationBundle, gpu: IGpu): IWords {
  const title =
    gpu.mode === 'dynamic' && isPlaced(gpu)
      ? trans.__('Free, and too small for any size')
      : trans.__('No slice is made here');
  return { first: '–', second: '', title };
}

function notYours(trans: TranslationBundle, block: IBlock, node: INode): IWords {
  return {
    first: block.width > 1 ? trans.__('free') : '',
    second: block.width > 2 ? trans.__('not for you') : '–',
    title: trans.__('Free, but by %1 you may have none there now', node.allowance?.rule ?? '')
  };
}

function free(
  trans: TranslationBundle,
  block: IBlock,
  sizes: readonly string[],
  node: INode
): IWords {
  const largest = sizes.filter(size => !size.includes('+')).pop() ?? sizes[0];
  if (largest === undefined) {
    return notYours(trans, block, node);
  }
  const short = block.width === 1 ? (largest.split('.')[0] ?? largest) : largest;
  return {
    first: block.width > 1 ? trans.__('free') : '',
    second: block.instance === null && block.width > 3 ? trans.__('up to %1', short) : short,
    title: trans.__('Free: room for %1', sizes.join(', '))
  };
}

function Sizes(props: { trans: TranslationBundle; sizes: readonly ISize[] }): React.JSX.Element {
  const { trans, sizes } = props;
  return (
    <ul className="jp-mig-Sizes" aria-label={trans.__('Free by size')}>
      {sizes.map(size => (
        <li
          key={size.size}
          className={size.free > 0 ? '' : 'jp-mig-mod-none'}
          title={trans.__(
            '%1: %2 GiB; %3 of at most %4 free',
            size.size,
            gibibytes(size.memoryBytes),
            size.free,
            size.total
          )}
        >
          {size.size} <b>{trans.__('%1 free', size.free)}</b>
        </li>
      ))}
    </ul>
  );
}

/** What an administrator's rule means to the user; nothing where there is none. */
function Allowance(props: { trans: TranslationBundle; node: INode }): React.JSX.Element | null {
  const { trans, node } = props;
  const { allowance, allowanceNotAvailable, sizes } = node;
  if (allowance === null) {
    return allowanceNotAvailable ? (
      <p className="jp-mig-soft">
        {trans.__('What you may have is not known: %1', allowanceNotAvailable)}
      </p>
    ) : null;
  }
  const over = sizes.find(size => size.overQuota)?.overQuota;
  return (
    <div className="jp-mig-soft" role="note" aria-label={trans.__('What you may have')}>
      <p>{trans.__('Yours by %1: %2.', allowance.rule, allowance.allows)}</p>
      {over === undefined ? null : <p>{trans.__('Now %1: give one back for another.', over)}</p>}
    </div>
  );
}
