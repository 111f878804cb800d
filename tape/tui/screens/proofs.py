"""Proofs: `a` asks what is to be proved, a child process does it, the matrix shows it, the crash pane sums it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tape.tui.messages import ProofEnded, ProofTold, ProofWanted
from tape.tui.proof_state import Phase, ProofState, ended, stopping, summary_text, take

if TYPE_CHECKING:
    from tape.tui.screens.main import MainScreen
    from tape.tui.screens.matrix import MatrixScreen
    from tape.tui.screens.trigger import Trigger


class Proofs:
    """Part of the main screen. One proof at a time; what an earlier one still says is not listened to."""

    proof: ProofState | None = None
    matrix: MatrixScreen | None = None
    _number = 0
    _proved: Trigger | None = None

    @property
    def _main(self) -> MainScreen:
        return cast("MainScreen", self)

    def action_prove(self) -> None:
        """The matrix, if there is one; else what is to be proved."""
        if self.proof is None:
            self._ask_proof()
        else:
            self._open_matrix()

    def _ask_proof(self) -> None:
        from tape.tui.screens.prove import ProveScreen

        main = self._main
        upstreams = [line.name for line in main.scene.strip.contract]
        dialog = ProveScreen(main.scene, self._inputs(), upstreams)
        main.ask(dialog, lambda wanted: self._prove(wanted, pairs=dialog.pairs))

    def _inputs(self) -> dict[str, Any]:
        """What was proved last, else the input of the selected run."""
        if self._proved is not None and self._proved.agent is not None:
            return {self._proved.agent: self._proved.value}
        selected = self._main.scene.selected
        return {selected.run.agent: selected.live.input} if selected is not None else {}

    def _prove(self, wanted: Trigger, *, pairs: bool) -> None:
        self._proved = wanted
        self._number += 1
        self.proof = ProofState(wanted.agent or self._main.scene.strip.project)
        self._main.backstage.prove(ProofWanted(self._number, wanted.agent, wanted.value, pairs))
        self._open_matrix()
        self._show_proof()

    def _open_matrix(self) -> None:
        from tape.tui.screens.matrix import MatrixScreen

        main = self._main
        if self.matrix is not None or self.proof is None:
            return
        self.matrix = MatrixScreen(
            self.proof,
            main.clock.boot_us(),
            stop=self._stop_proof,
            again=self._ask_proof,
            plain_glyphs=main.console.ascii,
        )
        main.console.push_screen(self.matrix, self._matrix_left)

    def _matrix_left(self, nothing: None) -> None:
        del nothing
        self.matrix = None

    def _stop_proof(self) -> None:
        if self.proof is not None:
            self.proof = stopping(self.proof)
            self._main.backstage.stop_proof()
            self._show_proof()

    # --- what it says ---------------------------------------------------------------------------------------------

    def proof_told(self, message: ProofTold) -> None:
        if message.number == self._number and self.proof is not None and self.proof.under_way:
            self.proof = take(self.proof, message.line, self._main.clock.boot_us())
            if self.proof.phase is Phase.BROKEN:
                self._main.backstage.stop_proof()
            self._show_proof()

    def proof_ended(self, message: ProofEnded) -> None:
        if message.number != self._number or self.proof is None:
            return
        self.proof = ended(self.proof, message.code, message.last_words)
        self._show_proof()
        self._main.say(f"{self.proof.agent}: {summary_text(self.proof)}; a shows it", wrong=not self.proof.holds)

    def _show_proof(self) -> None:
        from tape.tui.matrix_rows import proof_span

        main = self._main
        if main.composed and self.proof is not None:
            main.crash.tell_proof(proof_span(self.proof))
            self.watch_proof(main.clock.boot_us())

    def watch_proof(self, now_us: int) -> None:
        """Each scene: the time that is left changes."""
        if self.matrix is not None and self.proof is not None:
            self.matrix.show(self.proof, now_us)
