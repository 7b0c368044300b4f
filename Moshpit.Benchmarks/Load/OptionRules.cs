using System.CommandLine;
using System.CommandLine.Parsing;

namespace Moshpit.Benchmarks.Load;

/// <summary>One clear line for an option that is not what it must be.</summary>
internal static class OptionRules
{
    /// <summary>Complains unless the option's value can be read and passes <paramref name="test"/>.</summary>
    public static Option<T> MustBe<T>(this Option<T> option, string wanted, Func<T?, bool> test)
    {
        option.Validators.Add(result =>
        {
            if (!TryRead(result, option, out T? value) || !test(value))
                result.AddError($"{option.Name} must be {wanted}.");
        });
        return option;
    }

    public static Option<int> MustBeWithin(this Option<int> option, int least, int most) =>
        option.MustBe($"a number from {least} to {most}", value => value >= least && value <= most);

    /// <summary>
    /// The value of an option, or its default, while a command is validated, which is before defaults are filled in and before options
    /// are complained about. False: it makes no sense, which will be said in time.
    /// </summary>
    public static bool TryRead<T>(this CommandResult command, Option<T> option, out T? value)
    {
        value = default;
        if (command.GetResult(option) is { } result)
            return TryRead(result, option, out value);
        if (option.HasDefaultValue)
            value = (T?)option.GetDefaultValue();
        return true;
    }

    private static bool TryRead<T>(OptionResult result, Option<T> option, out T? value)
    {
        try
        {
            value = result.GetValue(option);
            return true;
        }
        catch (InvalidOperationException)
        {
            // The library's way to say that the text is no such value.
            value = default;
            return false;
        }
    }
}
