using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics.CodeAnalysis;

namespace Moshpit.Server;

/// <summary>A <see cref="Setting"/> with values of type <typeparamref name="T"/>.</summary>
internal sealed class Setting<T> : Setting
{
    private Option<T>? _option;

    /// <summary>Reads a value. False: it makes no sense.</summary>
    public delegate bool Reader(string text, [MaybeNullWhen(false)] out T value);

    /// <summary>A second name on the command line.</summary>
    public string? Alias { get; init; }

    /// <summary>What its value is called in the help; null for an option that needs none.</summary>
    public string? ValueName { get; init; }

    /// <summary>It may be given more than once on the command line; its variable holds a list.</summary>
    public bool IsList { get; init; }

    public required Reader Read { get; init; }

    /// <summary>What a value must be, as the end of "it must be".</summary>
    public string? Kind { get; init; }

    public required Action<CommandLine.Arguments, T> Set { get; init; }

    /// <summary>Values of the variable that others than the operator set, and that are ignored: why. Null for none.</summary>
    public Func<string, string?>? WhyIgnored { get; init; }

    public override Option Option => _option ??= CreateOption();

    public override void Apply(ParseResult parsed, Func<string, string?> environment, CommandLine.Arguments arguments)
    {
        if (parsed.GetResult(Option) is { Implicit: false })
        {
            Set(arguments, parsed.GetValue((Option<T>)Option)!);
            return;
        }

        string? text = environment(Variable);
        if (string.IsNullOrEmpty(text))
            return;
        if (WhyIgnored?.Invoke(text) is { } why)
            arguments.Warnings.Add($"{Variable} is '{text}' and is ignored: {why}.");
        else if (Read(text, out T? value))
            Set(arguments, value);
        else
            throw new ArgumentException($"{Refusal(Variable, text)} {CommandLine.Hint}");
    }

    private string Refusal(string name, string text) => $"{name} must be {Kind}, not '{text}'.";

    private Option<T> CreateOption()
    {
        var option = new Option<T>(Name)
        {
            Description = Default is null ? Description : $"{Description} [default: {Default}]",
            HelpName = ValueName,
        };
        if (Alias is not null)
            option.Aliases.Add(Alias);
        if (ValueName is not null && !IsList)
            option.CustomParser = Parse;
        return option;
    }

    private T? Parse(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (Read(text, out T? value))
            return value;
        result.AddError(Refusal(Name, text));
        return default;
    }
}
