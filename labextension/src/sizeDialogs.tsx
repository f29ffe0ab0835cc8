import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { extent } from './availability.js';
import type { IChoice } from './choices.js';
import type { ISubject } from './subject.js';
import type { IQuestions } from './switcher.js';
import type { IProblem } from './views.js';

/** The server's refusals that waiting in line would help against. */
const PASSING = ['no-room', 'over-quota'];

/** The questions about a change of size, in JupyterLab's dialogs. */
export class SizeDialogs implements IQuestions {
  constructor(private readonly _trans: TranslationBundle) {}

  async isSure(subject: ISubject, to: IChoice | null): Promise<boolean> {
    const trans = this._trans;
    const answer = await showDialog({
      title:
        to === null
          ? trans.__('Give the GPU back?')
          : trans.__('Change the GPU slice to %1?', to.name),
      body: <Sure trans={trans} subject={subject} to={to} />,
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.warnButton({
          label: to === null ? trans.__('Give Back') : trans.__('Change to %1', to.name)
        })
      ]
    });
    return answer.button.accept;
  }

  async wantsToWait(subject: ISubject, to: IChoice, problem: IProblem): Promise<boolean> {
    const trans = this._trans;
    const wait =
      subject.lease === null
        ? trans.__('Wait for %1', to.name)
        : trans.__('Give Up %1 and Wait', subject.lease.size);
    const answer = await showDialog({
      title: isKnown(problem)
        ? trans.__('%1 was not changed to %2', subject.title, to.name)
        : trans.__('No news of the change to %1', to.name),
      body: <Words problem={problem} />,
      buttons: [
        ...(PASSING.includes(problem.kind) ? [Dialog.warnButton({ label: wait })] : []),
        Dialog.okButton({ label: trans.__('Ok') })
      ],
      defaultButton: -1
    });
    return answer.button.label === wait;
  }

  async failed(subject: ISubject, problem: IProblem): Promise<void> {
    await showDialog({
      title: this._trans.__('The kernel of %1 was not started', subject.title),
      body: <Words problem={problem} />,
      buttons: [Dialog.okButton({ label: this._trans.__('Ok') })]
    });
  }
}

/** Whether our server said so: if only the connection broke, the change may go on. */
function isKnown(problem: IProblem): boolean {
  return problem.kind !== '' && problem.kind !== 'server-unreachable';
}

function Sure(props: {
  trans: TranslationBundle;
  subject: ISubject;
  to: IChoice | null;
}): React.JSX.Element {
  const { trans, subject, to } = props;
  const from = subject.lease?.slice?.profile ?? subject.lease?.size ?? null;
  return (
    <div className="jp-mig-Sure">
      <p className="jp-mig-Sure-change">
        <b>{subject.title}</b>
        <span>
          {from ?? trans.__('no GPU')} <span aria-hidden="true">→</span>
          <span className="jp-mig-unseen">{trans.__('to')}</span>{' '}
          <b>{to?.name ?? trans.__('no GPU')}</b>
        </span>
        {to === null ? null : <span className="jp-mig-soft">{extent(trans, to)}</span>}
      </p>
      <p>{trans.__('Its kernel starts anew, so all variables are lost. Code and outputs stay.')}</p>
      {to === null ? null : <Fate trans={trans} from={from} to={to} />}
    </div>
  );
}

/** What becomes of the slice there is, also if things go wrong. */
function Fate(props: {
  trans: TranslationBundle;
  from: string | null;
  to: IChoice;
}): React.JSX.Element {
  const { trans, from, to } = props;
  const isFull = to.count !== null && (to.count.unclaimed ?? to.count.free) === 0;
  return (
    <p className="jp-mig-soft">
      {isFull
        ? trans.__(
            'No %1 is free just now. If giving up your own slice makes no room, nothing changes.',
            to.name
          )
        : null}
      {isFull && from !== null ? ' ' : null}
      {from === null ? null : trans.__('Should the new kernel fail, %1 comes back.', from)}
    </p>
  );
}

/** The server's own words: what happened, how things are, what to do. */
function Words(props: { problem: IProblem }): React.JSX.Element {
  const { message, situation, nextStep } = props.problem;
  const sentences = [message, situation, nextStep].filter(Boolean);
  return (
    <div className="jp-mig-Words">
      {sentences.map(sentence => (
        <p key={sentence}>{sentence}</p>
      ))}
    </div>
  );
}
