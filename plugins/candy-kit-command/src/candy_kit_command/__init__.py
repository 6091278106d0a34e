"""What the executors for commands share: templates, capturing output, and judging it."""

from candy_kit_command.argument import Kind, Parameter
from candy_kit_command.capture import Capture
from candy_kit_command.command import Command, NumberPattern
from candy_kit_command.command_result import RUN_MARKER, Captured, CommandResult, Termination
from candy_kit_command.command_templates import CommandTemplates
from candy_kit_command.judging import judge_output, signal_name, stdout_capture
from candy_kit_command.params import CommandParams, CommandSettings, OutputThreshold, command_scopes
from candy_kit_command.perfdata import Metric, perfdata_of
from candy_kit_command.template import Template

__all__ = [
    "RUN_MARKER",
    "Capture",
    "Captured",
    "Command",
    "CommandParams",
    "CommandResult",
    "CommandSettings",
    "CommandTemplates",
    "Kind",
    "Metric",
    "NumberPattern",
    "OutputThreshold",
    "Parameter",
    "Template",
    "Termination",
    "command_scopes",
    "judge_output",
    "perfdata_of",
    "signal_name",
    "stdout_capture",
]
