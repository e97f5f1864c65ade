"""The Postfix on this host, for what is its to deliver. None is there for `postconnector send`."""

from dataclasses import dataclass

from postconnector.daemon.postfix_answers import RememberedAnswers
from postconnector.delivery.handing_back import HandingBack


@dataclass(frozen=True, slots=True)
class OwnPostfix:
    """`handing_back` gives it recipients; `answers`: which are its own to deliver to."""

    handing_back: HandingBack
    answers: RememberedAnswers
